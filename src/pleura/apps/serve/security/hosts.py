"""The host names of the service, and the web sites whose pages may use it.

A web page of another site runs in a browser that can reach this service. The page can post a form
to it. If the site lets its own name point to this machine (DNS rebinding), the page can read the
answers too. The browser sends the name in `Host` and the site of the page in `Origin`. Both are
checked here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pleura.apps.serve.errors import ForeignOrigin, Refusal, UnknownHost
from pleura.core.errors import UsageError

__all__ = ["AllowedHosts", "host_names"]

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?", re.I)
"""A name, an IPv4 or a bracketed IPv6 address, then an optional port."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE_METHODS = ("GET", "HEAD")
_OTHER_SITES = ("cross-site", "same-site")
"""The values of `Sec-Fetch-Site` for a page that is not the service's own."""


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The names and addresses of the service. Those of this machine's loopback are included."""

    bound: str = "127.0.0.1"
    """The address that the service is bound to. The unspecified addresses (0.0.0.0, ::) allow every
    address in `Host`: a site cannot make its own name look like an address."""

    allowed: tuple[str, ...] = ()
    """More names, such as that of a reverse proxy: `films.example`, `*.example` for its subdomains,
    or `*` for any. Pages of these names may use the service, except by `*`."""

    origins: tuple[str, ...] = ()
    """Web sites whose pages may use the service and read its answers (CORS), such as
    `https://viewer.example`."""

    def __post_init__(self) -> None:
        for origin in self.origins:
            if not re.fullmatch(r"https?://[a-z0-9.:\[\]_-]+", origin):
                raise UsageError(
                    f"{origin!r} is no origin of a web site: write it with http:// or https:// "
                    "and without a path, as in https://viewer.example"
                )
        for name in self.allowed:
            if name != "*" and not re.fullmatch(r"(\*\.)?[a-z0-9_-][a-z0-9._-]*|[0-9a-f:]+", name):
                raise UsageError(
                    f"{name!r} is no name of a host: write it in small letters, without http:// "
                    "and port, as in films.example"
                )

    def refusal(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        """The error of a request by its `host`, `origin` and `sec-fetch-site`; None if allowed."""
        host = headers.get("host")
        if host is None:
            return None  # an HTTP/1.0 client: every browser sends the header
        name_and_port = _parse_host(host)
        if name_and_port is None or not self._is_own_name(name_and_port[0]):
            return UnknownHost(host)
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "")
        if origin is None and (method in _SAFE_METHODS or site not in _OTHER_SITES):
            return None
        if origin is not None and self._is_allowed_origin(origin, name_and_port):
            return None
        return ForeignOrigin(origin)

    def _is_own_name(self, name: str) -> bool:
        if name in ("localhost", self.bound.lower()) or "*" in self.allowed:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return self._is_in_allowed(name)
        return address.is_loopback or self._is_bound_to_all() or self._is_in_allowed(name)

    def _is_bound_to_all(self) -> bool:
        try:
            return ipaddress.ip_address(self.bound).is_unspecified
        except ValueError:
            return False

    def _is_in_allowed(self, name: str) -> bool:
        """Whether `allowed` has the name itself or its domain; `*` does not count."""
        return any(
            name == known or (known.startswith("*.") and name.endswith(known[1:]))
            for known in self.allowed
        )

    def _is_allowed_origin(self, origin: str, host: tuple[str, int | None]) -> bool:
        """Whether pages of this origin may use the service: of `host`, `allowed` or `origins`."""
        if origin.lower() in self.origins:
            return True
        scheme, _, rest = origin.lower().partition("://")
        page = _parse_host(rest)
        if scheme not in _DEFAULT_PORTS or page is None:
            return False  # such as `null`: a local file or a sandboxed frame
        default = _DEFAULT_PORTS[scheme]
        is_same = (page[0], page[1] or default) == (host[0], host[1] or default)
        return is_same or self._is_in_allowed(page[0])


def _parse_host(host: str) -> tuple[str, int | None] | None:
    """The name in small letters and the port, if there is one; None for an invalid host."""
    match = _HOST.fullmatch(host.strip())
    if match is None:
        return None
    address, name, port = match.groups()
    return (address or name).lower().rstrip("."), int(port) if port else None


def host_names(options: Iterable[str] | None) -> tuple[str, ...]:
    """The names of the option `--allow-host`, in small letters, each once."""
    return tuple(dict.fromkeys(name.strip().rstrip(".").lower() for name in options or ()))
