"""Sending results: C-STORE to a DICOM node, STOW-RS to a DICOMweb service."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pleura.apps.pacs.addresses import Address, Tls
from pleura.apps.pacs.client import (
    ANSWER_S,
    CONNECT_S,
    Refused,
    Unreachable,
    connection_fault,
    web_client,
    web_errors,
)
from pleura.io.dicom.decode.syntaxes import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN

if TYPE_CHECKING:
    from dicomweb_client import DICOMwebClient

__all__ = ["CStore", "Destination", "Receipt", "Stow", "open_destination"]

COERCED = 0xB000
"""The status and reason of an object that was stored with other values of some attributes, as
archives do with names of patients. Objects with other warnings may be incomplete in the archive."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer of a destination for each object of one film, by SOPInstanceUID."""

    stored: set[str] = field(default_factory=set)
    """The objects that the destination confirmed."""

    refused: dict[str, str] = field(default_factory=dict)
    """The reason for each other object."""

    coerced: set[str] = field(default_factory=set)
    """Stored objects of which the destination changed attributes."""

    def add(self, dataset: Any, status: int | None) -> None:
        """Note the status of an object; None stands for no answer."""
        uid, name = str(dataset.SOPInstanceUID), dataset.SOPClassUID.name
        if status in (0, COERCED):
            self.stored.add(uid)
        else:
            answer = "without an answer" if status is None else f"with status {status:#06x}"
            self.refused[uid] = f"{name} not stored, {answer}"
        if status == COERCED:
            self.coerced.add(uid)

    def reason(self) -> str:
        """The reasons of all objects that were rejected; empty if none was."""
        return "; ".join(dict.fromkeys(self.refused.values()))


class Destination(Protocol):
    """A destination of results."""

    def send(self, objects: Sequence[Any]) -> Receipt:
        """Send DICOM objects of one film. What is not in the receipt's `stored` is sent again.

        Raises:
            Unreachable: the destination takes nothing at all.
            Refused: it stored none of these.
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

    def send(self, objects: Sequence[Any]) -> Receipt:
        """Send DICOM objects of one film; see `Destination`."""
        from pynetdicom import build_context

        contexts = [  # separately, so that a peer that takes both gets the bytes as they are
            build_context(uid, syntax)
            for uid in sorted({dataset.SOPClassUID for dataset in objects})
            for syntax in (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN)
        ]
        association = self.associate(contexts, kinds=f"these kinds of objects: {_kinds(objects)}")
        receipt, answers = Receipt(), True
        try:
            for dataset in objects:
                answers = answers and _store(association, dataset, receipt)
                if not answers:  # it would not answer the next object either
                    receipt.refused.setdefault(*_cut_off(dataset))
        finally:
            if answers:
                association.release()
            else:
                association.abort(block=False)
        return receipt

    def associate(self, contexts: list[Any], *, kinds: str, handlers: Sequence[Any] = ()) -> Any:
        """An association for these presentation contexts, which errors call `kinds`.

        Raises:
            Unreachable: there is no association.
            Refused: none of the contexts is accepted.
        """
        from pynetdicom import AE

        entity = AE(self.ae)
        entity.connection_timeout = CONNECT_S
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ANSWER_S
        try:
            association = entity.associate(
                self.address.host,
                self.address.port,
                contexts=contexts,
                ae_title=self.address.ae,
                tls_args=(self.tls, self.address.host) if self.tls else None,
                evt_handlers=list(handlers),
            )
        except OSError as error:  # the name of the host is not known
            raise Unreachable(connection_fault(error)) from error
        if association.is_established:
            return association
        if association.rejected_contexts:
            raise Refused(f"it does not accept {kinds}")
        raise Unreachable(_rejection(association) or self._connection_fault())

    def _connection_fault(self) -> str:
        """The reason why there is no association, by a second connection.

        pynetdicom writes the reason only to its log.
        """
        try:
            peer = (self.address.host, self.address.port)
            with socket.create_connection(peer, CONNECT_S) as connection:
                if self.tls is not None:
                    self.tls.wrap_socket(connection, server_hostname=self.address.host).close()
        except OSError as error:  # ssl.SSLError too
            return connection_fault(error)
        return "it ended the association before it began"


@dataclass(frozen=True, slots=True)
class Stow:
    """A DICOMweb service; one request for each film."""

    client: DICOMwebClient

    def send(self, objects: Sequence[Any]) -> Receipt:
        """Send DICOM objects of one film; see `Destination`.

        HTTP 200 is not enough: an object is stored if ReferencedSOPSequence in the answer names it.
        """
        try:
            with web_errors():
                answer = self.client.store_instances(objects)
        except (LookupError, ValueError, TypeError, SyntaxError) as error:  # ParseError too
            raise Refused(f"its answer cannot be read ({type(error).__name__})") from None
        named = dict(_named(answer))
        if not named:
            raise Refused(
                "the service answered without DICOM JSON or XML that names an object; check that "
                "the URL is that of a STOW-RS service"
            )
        receipt = Receipt()
        for dataset in objects:
            receipt.add(dataset, named.get(str(dataset.SOPInstanceUID)))
        return receipt


def _named(answer: Any) -> Iterator[tuple[str, int]]:
    """The UIDs that a STOW-RS answer names, with 0 or the reason of a warning or failure."""
    for keyword, reason in (
        ("ReferencedSOPSequence", "WarningReason"),
        ("FailedSOPSequence", "FailureReason"),
    ):
        failed = keyword == "FailedSOPSequence"
        for item in answer.get(keyword) or ():
            status = int(item.get(reason) or 0)
            yield str(item.get("ReferencedSOPInstanceUID")), status or (0x0110 if failed else 0)


def _store(association: Any, dataset: Any, receipt: Receipt) -> bool:
    """Send one object. Returns whether the peer still answers."""
    try:
        status = association.send_c_store(dataset).get("Status")
    except (ValueError, RuntimeError):  # no context was accepted, or the association ended
        if association.is_established:
            name = dataset.SOPClassUID.name
            receipt.refused[str(dataset.SOPInstanceUID)] = (
                f"{name} is a kind of object that it does not accept"
            )
            return True
        return False
    receipt.add(dataset, status)
    return status is not None


def _cut_off(dataset: Any) -> tuple[str, str]:
    reason = f"{dataset.SOPClassUID.name} not stored, the association was cut off"
    return str(dataset.SOPInstanceUID), reason


def _kinds(objects: Sequence[Any]) -> str:
    return ", ".join(dict.fromkeys(dataset.SOPClassUID.name for dataset in objects))


def _rejection(association: Any) -> str | None:
    if not association.is_rejected:
        return None
    answer = association.acceptor.primitive
    return f"the association was rejected: {answer.result_str}, {answer.reason_str}"
