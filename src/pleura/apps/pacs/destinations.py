"""Sending results: C-STORE to a DICOM node, STOW-RS to a DICOMweb service."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pleura.apps.pacs.addresses import Address, Tls
from pleura.apps.pacs.client import (
    ANSWER_S,
    CONNECT_S,
    Refused,
    Unreachable,
    web_client,
    web_errors,
)
from pleura.io.dicom.received import read_objects

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["CStore", "Destination", "Stow", "open_destination"]

WARNINGS = range(0xB000, 0xC000)
"""C-STORE statuses of objects that were stored with a warning."""


class Destination(Protocol):
    """A destination of results."""

    def send(self, files: Sequence[Path]) -> None:
        """Send all files of one film.

        Raises:
            Unreachable, Refused: some or all were not stored; send all of them again.
        """


def open_destination(address: Address, *, ae: str, tls: Tls) -> Destination:
    """The destination at an address; it connects at the first `send`."""
    if address.url:
        return Stow(web_client(address.url, tls.ca))
    return CStore(address, ae=ae, tls=tls.client_context() if address.tls else None)


@dataclass(frozen=True, slots=True)
class CStore:
    """A DICOM node; one association for each film."""

    address: Address
    ae: str
    tls: ssl.SSLContext | None = None

    def send(self, files: Sequence[Path]) -> None:
        """Send all files of one film; see `Destination`."""
        from pynetdicom import AE, build_context

        objects = read_objects(files)
        entity = AE(self.ae)
        entity.connection_timeout = CONNECT_S
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ANSWER_S
        contexts = [
            build_context(uid) for uid in sorted({dataset.SOPClassUID for dataset in objects})
        ]
        association = entity.associate(
            self.address.host,
            self.address.port,
            contexts=contexts,
            ae_title=self.address.ae,
            tls_args=(self.tls, self.address.host) if self.tls else None,
        )
        if not association.is_established:
            raise Unreachable(_rejection(association) or self._connection_fault())
        try:
            for dataset in objects:
                _store(association, dataset)
        finally:
            association.release()

    def _connection_fault(self) -> str:
        """The reason why there is no association, by a second connection.

        pynetdicom writes the reason only to its log.
        """
        try:
            peer = (self.address.host, self.address.port)
            with socket.create_connection(peer, CONNECT_S) as connection:
                if self.tls is not None:
                    self.tls.wrap_socket(connection, server_hostname=self.address.host).close()
        except ssl.SSLCertVerificationError as error:
            return f"its certificate is not trusted ({error.verify_message}); see --tls-ca"
        except ssl.SSLError as error:
            return f"no TLS there ({error.reason})"
        except OSError as error:
            return f"no connection ({error.strerror or error})"
        return "it ended the association before it began"


@dataclass(frozen=True, slots=True)
class Stow:
    """A DICOMweb service; one request for each film."""

    client: DICOMwebClient

    def send(self, files: Sequence[Path]) -> None:
        """Send all files of one film; see `Destination`."""
        self.send_objects(read_objects(files))

    def send_objects(self, objects: Sequence[Any]) -> None:
        """Send all objects of one film from memory; see `Destination`."""
        with web_errors():
            answer = self.client.store_instances(objects)
        failed = answer.get("FailedSOPSequence") or ()
        if failed:
            reason = failed[0].get("FailureReason", 0)
            raise Refused(f"{len(failed)} of {len(objects)} not stored, reason {reason:#06x}")


def _store(association: Any, dataset: Any) -> None:
    try:
        status = association.send_c_store(dataset).get("Status")
    except (ValueError, RuntimeError) as error:  # no context was accepted, or the association ended
        name = dataset.SOPClassUID.name
        raise Refused(f"{name} cannot be sent there ({type(error).__name__})") from None
    if status is None:
        raise Refused("no answer, or the association was cut off")
    if status != 0 and status not in WARNINGS:
        raise Refused(f"{dataset.SOPClassUID.name} refused with status {status:#06x}")


def _rejection(association: Any) -> str | None:
    if not association.is_rejected:
        return None
    answer = association.acceptor.primitive
    return f"the association was rejected: {answer.result_str}, {answer.reason_str}"
