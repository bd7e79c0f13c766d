"""What a node is told: who may send, where results go, and what they are."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pleura.core.errors import UsageError

__all__ = ["Address", "Sender", "Senders", "Settings", "Tls", "read_address", "read_senders"]

_AE = re.compile(r"[ -\[\]-~]{1,16}")  # PS3.5 6.2: no backslash, no control characters
_PEER = re.compile(r"(?P<tls>tls:)?(?P<ae>[^@]+)@(?P<host>\[[^\]]+\]|[^:@]+):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where results go: a DICOM node (`ae` is set) or a DICOMweb service (`url` is)."""

    name: str
    """As the user gave it; it stands in the queue, the log and the status."""

    ae: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    url: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who may send films: an AE title, and the addresses it may come from; none means any."""

    ae: str
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Senders:
    """Everyone who may send films."""

    listed: tuple[Sender, ...] = ()
    anyone: bool = False

    def may_connect(self, address: str) -> bool:
        """Whether somebody may come from there at all."""
        return self.anyone or any(
            not each.addresses or _plain(address) in each.addresses for each in self.listed
        )

    def may_send(self, ae: str, address: str) -> bool:
        """Whether this AE title may send from there."""
        return self.anyone or any(
            each.ae == ae.strip() and (not each.addresses or _plain(address) in each.addresses)
            for each in self.listed
        )


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of DICOM over TLS; without a certificate everything is in the clear."""

    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None

    def serving(self) -> ssl.SSLContext | None:
        """For those who connect to us; with a CA they must show a certificate of it.

        Raises:
            UsageError: a file is missing, or does not hold what it should.
        """
        if self.cert is None:
            if self.key is not None:
                raise UsageError(
                    "a key without its certificate would let films come in the clear; give "
                    "--tls-cert too, or leave --tls-key out"
                )
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._filled(context)

    def calling(self) -> ssl.SSLContext:
        """For those we connect to; a CA that we or the system trust must have signed theirs.

        Raises:
            UsageError: a file is missing, or does not hold what it should.
        """
        return self._filled(ssl.create_default_context())

    def _filled(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:  # SSLError is one
            raise UsageError(
                f"the TLS files cannot be used ({error.strerror or error}); expected PEM files: "
                "--tls-cert and --tls-key that belong together, and --tls-ca"
            ) from error
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a node is told but the network it segments with."""

    ae: str
    host: str
    port: int
    senders: Senders
    addresses: tuple[Address, ...]
    formats: tuple[str, ...]
    tls: Tls = Tls()
    longest_wait_s: float = 300.0
    """Between two tries to deliver."""


def read_senders(given: Iterable[str], *, anyone: bool = False) -> Senders:
    """`AE` or `AE@HOST`, each; names of hosts are looked up now.

    Raises:
        UsageError: nobody is listed, or one is not written so.
    """
    listed = tuple(_read_sender(each) for each in given)
    if not listed and not anyone:
        raise UsageError(
            "nobody may send: list who may, with --from AE or --from AE@HOST, or let everybody in "
            "with --anyone"
        )
    return Senders(listed, anyone=anyone)


def read_address(given: str) -> Address:
    """`AE@HOST:PORT`, `tls:AE@HOST:PORT`, or the https:// (http://) address of a DICOMweb service.

    Raises:
        UsageError: it is none of these, or a URL with a password in it.
    """
    if given.startswith(("http://", "https://")):
        parts = urlsplit(given)
        if parts.username or parts.password:
            raise UsageError(
                "a password in a URL is seen by everybody on this machine; set "
                "PLEURA_DICOMWEB_AUTH to USER:PASSWORD or 'Bearer TOKEN', or use ~/.netrc"
            )
        return Address(given.rstrip("/"), url=given.rstrip("/"))
    found = _PEER.fullmatch(given)
    if not found or not 0 < int(found["port"]) < 65536:
        raise UsageError(
            f"'{given}' is no destination; expected AE@HOST:PORT, tls:AE@HOST:PORT or "
            "https://HOST/dicom-web"
        )
    return Address(
        given,
        ae=check_ae(found["ae"]),
        host=found["host"].strip("[]"),
        port=int(found["port"]),
        tls=bool(found["tls"]),
    )


def check_ae(title: str) -> str:
    """The title without blanks around it; `UsageError` if it can be none."""
    title = title.strip()
    if not _AE.fullmatch(title):
        raise UsageError(
            f"'{title}' is no AE title; expected 1 to 16 characters of ASCII, without backslash"
        )
    return title


def _read_sender(given: str) -> Sender:
    title, _, host = given.partition("@")
    return Sender(check_ae(title), _addresses(host.strip("[]")) if host else frozenset())


def _addresses(host: str) -> frozenset[str]:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise UsageError(
            f"the address of '{host}' is not known ({error.strerror or error}); give the number"
        ) from error
    return frozenset(_plain(str(each[4][0])) for each in found)


def _plain(address: str) -> str:
    """An IPv4 address as such where a listener on `::` is told of it as ::ffff:192.0.2.1."""
    read = ipaddress.ip_address(address)
    return str(getattr(read, "ipv4_mapped", None) or read)
