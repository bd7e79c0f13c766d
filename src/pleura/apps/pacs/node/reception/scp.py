"""Receiving films by DICOM (C-ECHO, C-STORE). A film is acknowledged when it is on the disk."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)

from pleura.apps.pacs.addresses import Settings
from pleura.apps.pacs.log import LOG, describe_defect
from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import Accepted
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.reception.server import IDLE_S, PDU_BYTES, Server
from pleura.apps.pacs.node.reception.store_status import StoreStatus
from pleura.core.errors import OutputError, UnreadableFilm, UnsuitableFilm, UsageError
from pleura.io.dicom.received import FILM_CLASSES, check_received_file, transfer_syntaxes
from pleura.io.film import ReadOptions
from pleura.io.film_checks import MAX_PIXELS
from pleura.io.read import read_film

__all__ = ["FilmReceiver", "Scp"]

MAX_BYTES = 3 * MAX_PIXELS + 16_000_000
"""The largest object: the largest film that is read, at three bytes a pixel, and its header."""

DISK = "disk"
"""The name of the trouble when no film can be stored."""

_REJECTED = (0x01, 0x01, 0x03)  # permanent, by the service user, calling AE title not recognised
_TOO_MANY = (0x02, 0x03, 0x02)  # transient, by the service provider, local limit exceeded
_NO_LIMIT = 100_000  # pynetdicom counts connections without an association too; `Server` does not


@dataclass(frozen=True, slots=True)
class FilmReceiver:
    """Stores received films in the folder and the queue."""

    queue: Queue
    folder: NodeFolder
    """Where films are stored until their results are delivered."""

    space: DiskSpace
    """The disk that films may take."""

    on_film: Callable[[], None]
    """Called when a film has arrived."""

    def store(self, content: bytes, *, uid: str, sender: str) -> StoreStatus:
        """Store the object that the sender calls `uid`. Returns the status for the sender."""
        try:
            return self._store(content, uid=uid, sender=sender)
        except UnsuitableFilm as error:
            self.queue.count("not_films")
            LOG.info("not a film, from %s: %s", sender, error)
            return StoreStatus.NOT_STORED
        except UnreadableFilm as error:
            self.queue.count("unreadable")
            LOG.warning("not readable, from %s: %s", sender, error)
            return StoreStatus.UNREADABLE
        except (OutputError, UsageError, sqlite3.Error, OSError) as error:
            return self._no_room(sender, error)
        except Exception as error:  # the sender must get an answer
            LOG.error("not stored, from %s: %s", sender, describe_defect(error))
            return StoreStatus.DEFECT

    def _store(self, content: bytes, *, uid: str, sender: str) -> StoreStatus:
        received = check_received_file(content)
        if received.uid != uid:
            LOG.warning("not stored, from %s: sent with another UID than its own", sender)
            return StoreStatus.OTHER_UID
        if received.ends_early:
            read_film(content, ReadOptions(header=True, received=True))
        if not self.space.has_room_for_film(len(content)):
            return self._no_room(sender, None)
        name = f"{secrets.token_hex(16)}.dcm"
        try:
            self.folder.write_film(name, content)
            added = self.queue.add(
                uid, name, sender=sender, size=len(content), pixels=received.pixels
            )
        except BaseException:
            self.folder.delete_film(name)
            raise
        self.queue.clear_trouble(DISK)
        self.folder.delete_film(added.replaced)
        if added.accepted is Accepted.changed:
            self.folder.delete_film(name)
            LOG.warning(
                "not stored, from %s: it has the SOPInstanceUID of film %d, but other pixels; "
                "another film needs a UID of its own",
                *(sender, added.number),
            )
            return StoreStatus.NOT_STORED
        if added.accepted is Accepted.duplicate:
            self.folder.delete_film(name)
            LOG.info("film %d came again, from %s", added.number, sender)
        else:
            LOG.info("film %d received from %s, %d bytes", added.number, sender, len(content))
            self.on_film()
        return StoreStatus.STORED

    def _no_room(self, sender: str, error: Exception | None) -> StoreStatus:
        reason = "the disk is full, or the folder's quota" if error is None else str(error)
        self.queue.set_trouble(DISK, f"no film can be stored: {reason}")
        LOG.error("out of resources, answered to %s: %s", sender, reason)
        return StoreStatus.NO_ROOM


class Scp:
    """The DICOM server (service class provider) of the node."""

    def __init__(
        self,
        settings: Settings,
        receiver: FilmReceiver,
        *,
        max_bytes: int = MAX_BYTES,
        on_commitment: Callable[[evt.Event], tuple[int, None]] | None = None,
    ) -> None:
        """Start to listen. An object of more than `max_bytes` is cut off while it arrives.

        `on_commitment` answers reports of storage commitment; without it there are none.

        Raises:
            UsageError: the port is taken, or the TLS files cannot be used.
        """
        self._entity = _entity(settings)
        self._receiver, self._senders = receiver, settings.senders
        self._max_bytes = max_bytes
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda _: StoreStatus.STORED.value),
            (evt.EVT_C_STORE, self._answer_store),
            (evt.EVT_REQUESTED, self._check_sender),
            (evt.EVT_REJECTED, self._log_rejection),
            (evt.EVT_PDU_RECV, self._limit_size),
        ]
        if on_commitment is not None:
            self._entity.add_supported_context(
                StorageCommitmentPushModel, scu_role=True, scp_role=True
            )
            handlers.append((evt.EVT_N_EVENT_REPORT, on_commitment))
        tls = settings.tls.server_context()
        try:
            self._server = Server(self._entity, (settings.host, settings.port), handlers)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {settings.host} port {settings.port}: "
                f"{error.strerror or error}; give another --port or --host"
            ) from error
        self._server.set_access(settings.senders, tls, count_limit=receiver.queue.count)
        self.port = int(self._server.server_address[1])

    def serve(self) -> None:
        """Accept associations until `stop`."""
        self._entity._servers.append(self._server)  # `start_server` would not use `Server`
        self._server.serve_forever(poll_interval=0.1)

    def stop(self, *, grace_s: float) -> None:
        """Accept no more associations; end the open ones after `grace_s` seconds."""
        self._server.shutdown()
        end = time.monotonic() + grace_s
        while self._entity.active_associations and time.monotonic() < end:
            time.sleep(0.05)
        self._entity.shutdown()

    def _answer_store(self, event: evt.Event) -> int:
        return self._receiver.store(
            event.encoded_dataset(),
            uid=str(event.request.AffectedSOPInstanceUID),  # type: ignore[union-attr]
            sender=_printable(event.assoc.requestor.ae_title),
        ).value

    def _check_sender(self, event: evt.Event) -> None:
        """Reject an AE title that is not allowed from its address, and one association too many."""
        peer = event.assoc.requestor
        title = event.assoc.requestor.primitive.calling_ae_title or ""  # type: ignore[union-attr]
        if not self._senders.may_send(title, str(peer.address)):
            LOG.warning("refused: %s from %s is not listed", _printable(title), peer.address)
            self._receiver.queue.count("refused")
            event.assoc.acse.send_reject(*_REJECTED)
            event.assoc.kill()
        elif not self._server.has_room_for(event.assoc):
            self._server.note_limit(event.assoc, "too_many", "too many associations")
            event.assoc.acse.send_reject(*_TOO_MANY)
            event.assoc.kill()

    def _limit_size(self, event: evt.Event) -> None:
        """Cut off an object that is too large while it arrives, since it is held in memory."""
        data = getattr(event.assoc.dimse.message, "data_set", None)  # None before the first object
        if not isinstance(event.pdu, P_DATA_TF) or data is None or event.assoc.is_aborted:
            return
        if data.tell() > self._max_bytes:
            title = _printable(event.assoc.requestor.ae_title)
            LOG.warning("cut off, from %s: an object of over %d bytes", title, self._max_bytes)
            self._receiver.queue.count("too_large")
            event.assoc.abort(block=False)

    def _log_rejection(self, event: evt.Event) -> None:
        called = event.assoc.requestor.primitive.called_ae_title or ""  # type: ignore[union-attr]
        LOG.warning(
            "refused: the association of %s from %s, called with another AE title: %s; this is %s",
            _printable(event.assoc.requestor.ae_title),
            event.assoc.requestor.address,
            _printable(called),
            self._entity.ae_title,
        )


def _entity(settings: Settings) -> AE:
    entity = AE(settings.ae)
    entity.require_called_aet = True
    entity.maximum_associations = _NO_LIMIT
    entity.maximum_pdu_size = PDU_BYTES
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = IDLE_S
    entity.add_supported_context(Verification)
    for sop_class in FILM_CLASSES:
        entity.add_supported_context(sop_class, transfer_syntaxes())
    return entity


def _printable(title: str) -> str:
    """An AE title for the log, without unusual characters."""
    allowed = (char for char in title.strip() if char.isalnum() or char in "_-. ")
    return "".join(allowed)[:16] or "?"
