"""Receiving: C-ECHO and C-STORE. A film is acknowledged only once it is safely on the disk."""

from __future__ import annotations

import secrets
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from pleura.apps.pacs.addresses import Senders, Settings
from pleura.apps.pacs.log import LOG, defect
from pleura.apps.pacs.node.folder import NodeFolder, Space
from pleura.apps.pacs.node.queue import Accepted, Queue
from pleura.core.errors import OutputError, UnreadableFilm, UnsuitableFilm, UsageError
from pleura.io.dicom.received import FILM_CLASSES, check_arrival, transfer_syntaxes
from pleura.io.film_checks import MOST_PIXELS

__all__ = ["Reception", "Scp", "Status"]

ASSOCIATIONS = 16
HANDSHAKE_S = 10.0
IDLE_S = 60.0
MOST_BYTES = 3 * MOST_PIXELS + 16_000_000
"""Of an object: the largest film that is read at three bytes a pixel, and room for its header."""

PDU_BYTES = 1_048_576
"""A sender's pieces: a limit to a film is only seen between two of them."""

DISK = "disk"
"""The trouble's name when no film can be taken."""

_REJECTED = (0x01, 0x01, 0x03)  # permanent, by the service user, calling AE title not recognised


class Status(IntEnum):
    """What a sender is answered, PS3.4 B.2.3 and PS3.7 C."""

    STORED = 0x0000
    """On the disk; or it was already, or its results have been delivered."""

    NOT_A_FILM = 0xB006
    """A warning, elements discarded: nothing was stored, and sending it again changes nothing."""

    NO_ROOM = 0xA700
    OTHER_UID = 0xA900
    UNREADABLE = 0xC000
    DEFECT = 0x0110


@dataclass(frozen=True, slots=True)
class Reception:
    """Takes films into the folder and the queue."""

    queue: Queue
    folder: NodeFolder
    """Where films are stored until their results are delivered."""

    space: Space
    """The disk that films may take."""

    arrived: Callable[[], None]
    """Called when a film has come."""

    def take(self, content: bytes, *, uid: str, sender: str) -> Status:
        """Keep what a sender calls `uid`; the answer is for it, the log for us."""
        try:
            return self._take(content, uid=uid, sender=sender)
        except UnsuitableFilm as error:
            self.queue.count("not_films")
            LOG.info("not a film, from %s: %s", sender, error)
            return Status.NOT_A_FILM
        except UnreadableFilm as error:
            self.queue.count("unreadable")
            LOG.warning("not readable, from %s: %s", sender, error)
            return Status.UNREADABLE
        except (OutputError, UsageError, sqlite3.Error, OSError) as error:
            return self._no_room(sender, error)
        except Exception as error:  # the edge: the sender must get an answer
            LOG.error("not stored, from %s: %s", sender, defect(error))
            return Status.DEFECT

    def _take(self, content: bytes, *, uid: str, sender: str) -> Status:
        if check_arrival(content) != uid:
            LOG.warning("not stored, from %s: announced under another UID than its own", sender)
            return Status.OTHER_UID
        if not self.space.takes(len(content)):
            return self._no_room(sender, None)
        name = f"{secrets.token_hex(16)}.dcm"
        try:
            self.folder.keep_film(name, content)
            accepted, number = self.queue.add(uid, name, sender=sender, size=len(content))
        except BaseException:
            self.folder.drop_film(name)
            raise
        self.queue.no_trouble(DISK)
        if accepted is Accepted.duplicate:
            self.folder.drop_film(name)
            LOG.info("film %d came again, from %s", number, sender)
        else:
            LOG.info("film %d received from %s, %d bytes", number, sender, len(content))
            self.arrived()
        return Status.STORED

    def _no_room(self, sender: str, error: Exception | None) -> Status:
        told = "the disk is full, or the folder's quota" if error is None else str(error)
        self.queue.trouble(DISK, f"no film can be taken: {told}")
        LOG.error("out of resources, told to %s: %s", sender, told)
        return Status.NO_ROOM


class Scp:
    """The listening side; stops when told to, after what is on its way."""

    def __init__(
        self, settings: Settings, reception: Reception, *, most_bytes: int = MOST_BYTES
    ) -> None:
        """Listen; what is larger than `most_bytes` is cut off while it comes.

        Raises:
            UsageError: the port is taken, or the TLS files cannot be used.
        """
        self._entity = _entity(settings)
        self._reception, self._senders = reception, settings.senders
        self._most_bytes = most_bytes
        handlers: list[Any] = [
            (evt.EVT_C_ECHO, lambda _: Status.STORED.value),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_REQUESTED, self._check),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_PDU_RECV, self._weigh),
        ]
        tls = settings.tls.serving()
        try:
            self._server = _Server(
                self._entity,
                (settings.host, settings.port),
                settings.ae,
                self._entity.supported_contexts,
                evt_handlers=handlers,
            )
        except OSError as error:
            raise UsageError(
                f"cannot listen on {settings.host} port {settings.port}: "
                f"{error.strerror or error}; give another --port or --host"
            ) from error
        self._server.guard(settings.senders, tls)
        self.port = int(self._server.server_address[1])

    def serve(self) -> None:
        """Take associations until `stop`."""
        self._entity._servers.append(self._server)  # its own start_server takes no class of ours
        self._server.serve_forever(poll_interval=0.1)

    def stop(self, *, grace_s: float) -> None:
        """Take no more, wait for those on their way, then cut them off."""
        self._server.shutdown()
        end = time.monotonic() + grace_s
        while self._entity.active_associations and time.monotonic() < end:
            time.sleep(0.05)
        self._entity.shutdown()

    def _store(self, event: evt.Event) -> int:
        return self._reception.take(
            event.encoded_dataset(),
            uid=str(event.request.AffectedSOPInstanceUID),  # type: ignore[union-attr]
            sender=_shown(event.assoc.requestor.ae_title),
        ).value

    def _check(self, event: evt.Event) -> None:
        """Reject an AE title that comes from an address it is not listed with."""
        peer = event.assoc.requestor
        title = event.assoc.requestor.primitive.calling_ae_title or ""  # type: ignore[union-attr]
        if not self._senders.may_send(title, str(peer.address)):
            LOG.warning("refused: %s from %s is not listed", _shown(title), peer.address)
            self._reception.queue.count("refused")
            event.assoc.acse.send_reject(*_REJECTED)
            event.assoc.kill()

    def _weigh(self, event: evt.Event) -> None:
        """Cut off an object larger than any film while it comes: it is held in memory."""
        coming = getattr(event.assoc.dimse.message, "data_set", None)  # None before the first
        if not isinstance(event.pdu, P_DATA_TF) or coming is None or event.assoc.is_aborted:
            return
        if coming.tell() > self._most_bytes:
            title = _shown(event.assoc.requestor.ae_title)
            LOG.warning("cut off, from %s: an object of over %d bytes", title, self._most_bytes)
            self._reception.queue.count("too_large")
            event.assoc.abort(block=False)

    def _rejected(self, event: evt.Event) -> None:
        LOG.warning(
            "refused: the association of %s, called by another AE title than ours, or too many",
            _shown(event.assoc.requestor.ae_title),
        )


class _Server(ThreadedAssociationServer):
    """Closes to addresses that nobody may come from; TLS begins in the connection's own thread."""

    daemon_threads = True
    _senders = Senders()
    _tls: ssl.SSLContext | None = None

    def guard(self, senders: Senders, tls: ssl.SSLContext | None) -> None:
        self._senders, self._tls = senders, tls

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        allowed = self._senders.may_connect(str(client_address[0]))
        if not allowed:
            LOG.warning("refused: a connection from %s, which is not listed", client_address[0])
        return allowed

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self._tls is not None:
            try:
                request = self._greeted(request, self._tls)
            except OSError as error:  # SSLError and a timeout are
                kind = getattr(error, "reason", None) or type(error).__name__
                LOG.warning("refused: no TLS with %s (%s)", client_address[0], kind)
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        LOG.error("a connection from %s ended in an error", client_address[0])

    @staticmethod
    def _greeted(request: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """Here, not in the loop that accepts: whoever says nothing must hold up nobody else."""
        request.settimeout(HANDSHAKE_S)
        wrapped = tls.wrap_socket(request, server_side=True)
        wrapped.settimeout(None)
        return wrapped


def _entity(settings: Settings) -> AE:
    entity = AE(settings.ae)
    entity.require_called_aet = True
    entity.maximum_associations = ASSOCIATIONS
    entity.maximum_pdu_size = PDU_BYTES
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = IDLE_S
    entity.add_supported_context(Verification)
    for each in FILM_CLASSES:
        entity.add_supported_context(each, transfer_syntaxes())
    return entity


def _shown(title: str) -> str:
    """An AE title as the log may have it, whatever a stranger put there."""
    return "".join(each for each in title.strip() if each.isalnum() or each in "_-. ")[:16] or "?"
