"""Sending results: C-STORE to a DICOM node, STOW-RS to a DICOMweb service."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pleura.apps.pacs.addresses import Address, Tls
from pleura.apps.pacs.client import ANSWER_S, CONNECT_S, Refused, Unreachable, answered, web_client
from pleura.io.dicom.received import read_objects

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["CStore", "Destination", "Stow", "open_destination"]

WARNINGS = range(0xB000, 0xC000)
"""Statuses that mean: stored, but."""


class Destination(Protocol):
    """Where results go."""

    def send(self, files: Sequence[Path]) -> None:
        """Send all files of one film.

        Raises:
            Unreachable, Refused: some or all were not taken; all are to be sent again.
        """


def open_destination(address: Address, *, ae: str, tls: Tls) -> Destination:
    """The way to an address; nothing is connected yet."""
    if address.url:
        return Stow(web_client(address.url, tls.ca))
    return CStore(address, ae=ae, tls=tls.calling() if address.tls else None)


@dataclass(frozen=True, slots=True)
class CStore:
    """A DICOM node: one association a film."""

    address: Address
    ae: str
    tls: ssl.SSLContext | None = None

    def send(self, files: Sequence[Path]) -> None:
        """As `Destination` has it."""
        from pynetdicom import AE, build_context

        objects = read_objects(files)
        entity = AE(self.ae)
        entity.connection_timeout = CONNECT_S
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ANSWER_S
        contexts = [build_context(uid) for uid in sorted({each.SOPClassUID for each in objects})]
        opened = entity.associate(
            self.address.host,
            self.address.port,
            contexts=contexts,
            ae_title=self.address.ae,
            tls_args=(self.tls, self.address.host) if self.tls else None,
        )
        if not opened.is_established:
            raise Unreachable(_not_opened(opened) or self._not_connected())
        try:
            for each in objects:
                _store(opened, each)
        finally:
            opened.release()

    def _not_connected(self) -> str:
        """Why there is no association, by connecting once more: pynetdicom tells only its log."""
        try:
            peer = (self.address.host, self.address.port)
            with socket.create_connection(peer, CONNECT_S) as plain:
                if self.tls is not None:
                    self.tls.wrap_socket(plain, server_hostname=self.address.host).close()
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not trusted ({error.verify_message}); see --tls-ca"
        except ssl.SSLError as error:
            return f"no TLS there ({error.reason})"
        except OSError as error:
            return f"no connection ({error.strerror or error})"
        return "it ended the association before it began"


@dataclass(frozen=True, slots=True)
class Stow:
    """A DICOMweb service: one request a film."""

    client: DICOMwebClient

    def send(self, files: Sequence[Path]) -> None:
        """As `Destination` has it."""
        self.send_objects(read_objects(files))

    def send_objects(self, objects: Sequence[Any]) -> None:
        """The same for objects that lie in memory."""
        with answered():
            said = self.client.store_instances(objects)
        failed = said.get("FailedSOPSequence") or ()
        if failed:
            reason = failed[0].get("FailureReason", 0)
            raise Refused(f"{len(failed)} of {len(objects)} not stored, reason {reason:#06x}")


def _store(opened: Any, each: Any) -> None:
    try:
        status = opened.send_c_store(each).get("Status")
    except (ValueError, RuntimeError) as error:  # no context was accepted; or it was cut off
        kind = each.SOPClassUID.name
        raise Refused(f"{kind} cannot be sent there ({type(error).__name__})") from None
    if status is None:
        raise Refused("no answer, or the association was cut off")
    if status != 0 and status not in WARNINGS:
        raise Refused(f"{each.SOPClassUID.name} refused with status {status:#06x}")


def _not_opened(opened: Any) -> str | None:
    if not opened.is_rejected:
        return None
    said = opened.acceptor.primitive
    return f"the association was rejected: {said.result_str}, {said.reason_str}"
