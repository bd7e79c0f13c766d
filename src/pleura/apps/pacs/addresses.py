"""The settings of a DICOM node: senders, destinations, TLS files and formats."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pleura.apps.pacs.node.watchdog import FILM_S
from pleura.core.errors import UsageError

__all__ = ["Address", "Sender", "Senders", "Settings", "Tls", "read_address", "read_senders"]

_AE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2: no backslash, no control characters
_PEER = re.compile(r"(?P<tls>tls:)?(?P<ae>[^@]+)@(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """A destination of results: a DICOM node (`ae` is set) or a DICOMweb service (`url` is set)."""

    name: str
    """The user's text, which the queue, the log and the status show."""

    ae: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """An AE title that may send films, and its allowed addresses; no address means any."""

    ae: str
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Senders:
    """All senders that are allowed."""

    listed: tuple[Sender, ...] = ()
    anyone: bool = False

    def with_nodes(self, addresses: Iterable[Address]) -> Senders:
        """These senders and the DICOM nodes among `addresses`, which report in associations."""
        nodes = [
            Sender(address.ae, _addresses(address.host)) for address in addresses if address.ae
        ]
        return Senders((*self.listed, *nodes), self.anyone)

    def may_connect(self, address: str) -> bool:
        """Whether any sender is allowed from this address."""
        return self.anyone or any(
            not sender.addresses or _unmapped(address) in sender.addresses for sender in self.listed
        )

    def may_send(self, ae: str, address: str) -> bool:
        """Whether this AE title is allowed from this address."""
        return self.anyone or any(
            sender.ae == ae.strip()
            and (not sender.addresses or _unmapped(address) in sender.addresses)
            for sender in self.listed
        )


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of DICOM over TLS. Without a certificate films are received unencrypted."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    def server_context(self) -> ssl.SSLContext | None:
        """The TLS context for connections to this node; None without a certificate.

        With a CA, clients must have a certificate that it signed.

        Raises:
            UsageError: a file is missing or invalid.
        """
        if self.cert is None:
            if self.key is not None:
                raise UsageError(
                    "without the certificate of this key, films would be received unencrypted; "
                    "give --tls-cert too, or leave --tls-key out"
                )
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._load_files(context)

    def client_context(self) -> ssl.SSLContext:
        """The TLS context for connections to destinations.

        `ca` or a CA of the system must have signed their certificates.

        Raises:
            UsageError: a file is missing, or does not hold what it should.
        """
        return self._load_files(ssl.create_default_context())

    def _load_files(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:  # SSLError is a subclass
            raise UsageError(
                f"the TLS files cannot be used ({error.strerror or error}); expected PEM files: "
                "--tls-cert and --tls-key that belong together, and --tls-ca"
            ) from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a node except its network."""

    ae: str
    host: str
    port: int
    senders: Senders
    addresses: tuple[Address, ...]
    formats: tuple[str, ...]
    tls: Tls = Tls()
    longest_wait_s: float = 300.0
    """The longest pause between two tries to deliver, seconds."""

    film_s: float = FILM_S
    """The longest time for one film, seconds."""

    commit: bool = False
    """Whether DICOM nodes are asked for storage commitment."""

    monitor: tuple[str, int] | None = None
    """Host and port of /healthz, /readyz and /metrics; None if they are not served."""


def read_senders(texts: Iterable[str], *, anyone: bool = False) -> Senders:
    """Read senders, each as `AE` or `AE@HOST`; host names are resolved now.

    Raises:
        UsageError: there is no sender, or one is not written like this.
    """
    listed = tuple(_read_sender(text) for text in texts)
    if not listed and not anyone:
        raise UsageError(
            "no sender is accepted: name senders, with --from AE or --from AE@HOST, or accept all "
            "with --anyone"
        )
    return Senders(listed, anyone=anyone)


def read_address(text: str) -> Address:
    """Read `AE@HOST:PORT`, `tls:AE@HOST:PORT`, or the URL of a DICOMweb service.

    Raises:
        UsageError: it is none of these, or a URL with a password in it.
    """
    if text.startswith(("http://", "https://")):
        parts = urlsplit(text)
        if parts.username or parts.password:
            raise UsageError(
                "a password in a URL is seen by everybody on this machine; set "
                "PLEURA_DICOMWEB_AUTH to USER:PASSWORD or 'Bearer TOKEN', or use ~/.netrc"
            )
        return Address(text.rstrip("/"), url=text.rstrip("/"))
    match = _PEER.fullmatch(text)
    if not match or not 0 < int(match["port"]) < 65536:
        raise UsageError(
            f"'{text}' is no destination; expected AE@HOST:PORT, tls:AE@HOST:PORT or "
            "https://HOST/dicom-web"
        )
    return Address(
        text,
        ae=check_ae(match["ae"]),
        host=match["host"].strip("[]"),
        port=int(match["port"]),
        tls=bool(match["tls"]),
    )


def check_ae(title: str) -> str:
    """The AE title without blanks around it; `UsageError` if it is invalid."""
    title = title.strip()
    if not _AE.fullmatch(title):
        raise UsageError(
            f"'{title}' is no AE title; expected 1 to 16 characters of ASCII, without backslash"
        )
    return title


def _read_sender(text: str) -> Sender:
    title, _, host = text.partition("@")
    return Sender(check_ae(title), _addresses(host.strip("[]")) if host else frozenset())


def _addresses(host: str) -> frozenset[str]:
    try:
        infos = socket.getaddrinfo(host, None)
    except OSError as error:
        raise UsageError(
            f"the address of '{host}' is not known ({error.strerror or error}); give the number"
        ) from error
    return frozenset(_unmapped(str(info[4][0])) for info in infos)


def _unmapped(address: str) -> str:
    """The address; an IPv4 address that is mapped to IPv6 (::ffff:192.0.2.1) as IPv4."""
    parsed = ipaddress.ip_address(address)
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
