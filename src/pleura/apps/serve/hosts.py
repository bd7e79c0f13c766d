"""Which names the service answers to, and whose pages may ask it.

A browser lends every page that it shows its access to this machine. A page can post a form to an
address of ours, and one whose own name it lets point here (DNS rebinding) can read the answer too.
A browser says the name in `Host`, and whose page asks in `Origin`; both are compared.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pleura.apps.serve.problems import ForeignOrigin, Refusal, UnknownHost
from pleura.core.errors import UsageError

__all__ = ["Hosts"]

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?", re.I)
"""A name, an IPv4 or a bracketed IPv6 address, then perhaps a port."""

_PORTS = {"http": 80, "https": 443}
_READING = ("GET", "HEAD")
_ELSEWHERE = ("cross-site", "same-site")
"""What Sec-Fetch-Site says of a page that is not ours."""


@dataclass(frozen=True, slots=True)
class Hosts:
    """Names and addresses of the service; those of this machine itself are always among them."""

    bound: str = "127.0.0.1"
    """What it is bound to. An address that stands for all of a machine's (0.0.0.0, ::) lets any
    address in: no page can make one of its own name point elsewhere."""

    allowed: tuple[str, ...] = ()
    """More names, as a reverse proxy has one: `films.example`, `*.example` for all below it, or
    `*` for any. Pages of these names may ask, too, but for those of `*`."""

    def __post_init__(self) -> None:
        for name in self.allowed:
            if name != "*" and not re.fullmatch(r"(\*\.)?[a-z0-9_-][a-z0-9._-]*|[0-9a-f:]+", name):
                raise UsageError(
                    f"{name!r} is no name of a host: write it in small letters, without http:// "
                    "and port, as in films.example"
                )

    def refusal(self, method: str, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request is not served, by its `host`, `origin` and `sec-fetch-site`."""
        host = headers.get("host")
        if host is None:
            return None  # HTTP/1.0 of a program: every browser sends it
        named = _parsed(host)
        if named is None or not self._is_ours(named[0]):
            return UnknownHost(
                f"this service does not answer to the name {host!r}: use one of its own, such as "
                "localhost, or have it started with --allow-host and the name"
            )
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "")
        if origin is None and (method in _READING or site not in _ELSEWHERE):
            return None
        if origin is not None and self._may_ask(origin, named):
            return None
        return ForeignOrigin(
            f"a page of {origin or 'another site'} may not use this service: open the service's "
            "own page; a reverse proxy's name is given with --allow-host"
        )

    def _is_ours(self, name: str) -> bool:
        if name in ("localhost", self.bound.lower()) or "*" in self.allowed:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return self._is_allowed(name)
        return address.is_loopback or self._is_everywhere() or self._is_allowed(name)

    def _is_everywhere(self) -> bool:
        try:
            return ipaddress.ip_address(self.bound).is_unspecified
        except ValueError:
            return False

    def _is_allowed(self, name: str) -> bool:
        """Whether it was given by name, which `*` does not."""
        return any(
            name == known or (known.startswith("*.") and name.endswith(known[1:]))
            for known in self.allowed
        )

    def _may_ask(self, origin: str, host: tuple[str, int | None]) -> bool:
        scheme, _, rest = origin.lower().partition("://")
        asking = _parsed(rest)
        if scheme not in _PORTS or asking is None:
            return False  # `null`: a file, or a frame that was closed in
        usual = _PORTS[scheme]
        same = (asking[0], asking[1] or usual) == (host[0], host[1] or usual)
        return same or self._is_allowed(asking[0])


def _parsed(host: str) -> tuple[str, int | None] | None:
    """The name in small letters, and the port if there is one; None for what is no host."""
    match = _HOST.fullmatch(host.strip())
    if match is None:
        return None
    address, name, port = match.groups()
    return (address or name).lower().rstrip("."), int(port) if port else None


def names(given: Iterable[str] | None) -> tuple[str, ...]:
    """Names as an option gives them, each once."""
    return tuple(dict.fromkeys(name.strip().rstrip(".").lower() for name in given or ()))
