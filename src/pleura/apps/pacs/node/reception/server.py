"""The server behind the node's port: who may connect, how many, and how much one may send at once.

Every limit holds before anything of a peer is stored, and most before anything is read.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from pleura.apps.pacs.addresses import Senders
from pleura.apps.pacs.log import LOG

__all__ = [
    "ASSOCIATIONS",
    "IDLE_S",
    "PDU_BYTES",
    "PER_PEER",
    "WAITING",
    "WAITING_PER_PEER",
    "Server",
]

ASSOCIATIONS = 16
"""The most associations at the same time; each may hold a film in memory."""

PER_PEER = 10
"""The most associations of one address, so that others are served too."""

WAITING = 64
"""The most connections without an association; the oldest is closed for a new one."""

WAITING_PER_PEER = 16
"""The same for one address."""

HANDSHAKE_S = 10.0
IDLE_S = 60.0
"""The longest silence of a peer, and the longest time for one PDU, seconds."""

PDU_BYTES = 1_048_576
"""The largest PDU that peers are asked for. The size of a film is checked after each PDU."""

MAX_PDU_BYTES = 2 * PDU_BYTES
"""A connection that announces a longer PDU is closed before it is read."""

_READ_BYTES = 65_536


class Server(ThreadedAssociationServer):
    """A server that accepts only allowed addresses, with TLS in each connection's own thread."""

    daemon_threads = True
    request_queue_size = 128  # 5 in the standard library, so that senders wait for a second or more
    _senders = Senders()
    _tls: ssl.SSLContext | None = None
    _count_limit: Callable[[str, int], None]

    def __init__(self, entity: AE, address: tuple[str, int], handlers: list[Any]) -> None:
        """Listen for associations with `entity`; `OSError` if the address is taken."""
        self._open: list[Association] = []
        self._met = Counter[str]()
        self._counted_at = 0.0
        self._lock = threading.Lock()
        super().__init__(
            entity,
            address,
            entity.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
            request_handler=_Handler,
        )

    def set_access(
        self,
        senders: Senders,
        tls: ssl.SSLContext | None,
        *,
        count_limit: Callable[[str, int], None],
    ) -> None:
        """Accept these senders. `count_limit` gets how often peers met a limit, by its name."""
        self._senders, self._tls, self._count_limit = senders, tls, count_limit

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002
        """Whether the address may connect; an older silent connection may be closed for it."""
        address = str(client_address[0])
        allowed = self._senders.may_connect(address)
        if allowed:
            self._make_room(address)
        else:
            LOG.warning("refused: a connection from %s, which is not listed", address)
        return allowed

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Begin the association, over TLS if this node has a certificate."""
        request.settimeout(IDLE_S)
        if self._tls is not None:
            try:
                request = self._tls_handshake(request, self._tls)
            except OSError as error:  # SSLError and TimeoutError are subclasses
                kind = getattr(error, "reason", None) or type(error).__name__
                LOG.warning("refused: no TLS with %s (%s)", client_address[0], kind)
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log the address alone: texts of other libraries may hold names."""
        LOG.error("a connection from %s ended in an error", client_address[0])

    def note_open(self, association: Association) -> None:
        """Count a connection until its thread ends."""
        with self._lock:
            self._open.append(association)

    def has_room_for(self, association: Association) -> bool:
        """Whether this association may begin, beside those that are established."""
        with self._lock:
            established = [_address(other) for other in self._living() if other.is_established]
        return (
            len(established) < ASSOCIATIONS and established.count(_address(association)) < PER_PEER
        )

    def note_limit(self, association: Association, limit: str, text: str) -> None:
        """Log and count that a peer met a limit."""
        LOG.warning("refused, from %s: %s", _address(association), text)
        with self._lock:
            self._met[limit] += 1

    def service_actions(self) -> None:
        """Hand on the counts once a second: a flood of connections must not wait for the disk."""
        super().service_actions()
        if self._met and time.monotonic() - self._counted_at > 1.0:
            self._counted_at = time.monotonic()
            self._count_met()

    def server_close(self) -> None:
        """Close the server, and hand on the last counts."""
        super().server_close()
        self._count_met()

    def _count_met(self) -> None:
        with self._lock:
            met, self._met = self._met, Counter()
        for limit, number in met.items():
            self._count_limit(limit, number)

    def _make_room(self, address: str) -> None:
        """Close the oldest connection without an association if there are too many."""
        with self._lock:
            waiting = [other for other in self._living() if not other.is_established]
            same = [other for other in waiting if _address(other) == address]
            oldest = same[0] if len(same) >= WAITING_PER_PEER else None
            oldest = waiting[0] if oldest is None and len(waiting) >= WAITING else oldest
            if oldest is not None:
                self._open.remove(oldest)
        if oldest is not None:
            self.note_limit(oldest, "too_many", "too many connections without an association")
            _hang_up(oldest)

    def _living(self) -> list[Association]:
        """The open connections, oldest first."""
        self._open = [
            connection
            for connection in self._open
            if connection.ident is None or connection.is_alive()
        ]
        return self._open

    @staticmethod
    def _tls_handshake(request: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        """The connection over TLS. Not in the loop that accepts: a silent client would block it."""
        request.settimeout(HANDSHAKE_S)
        wrapped = tls.wrap_socket(request, server_side=True)
        wrapped.settimeout(IDLE_S)
        return wrapped


class _Handler(RequestHandler):
    """Begins an association whose PDUs are limited."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        server = self.server
        assert isinstance(server, Server)
        plain = association.dul.socket
        assert plain is not None
        association.dul.socket = _LimitedSocket(plain, server)
        server.note_open(association)
        return association


class _LimitedSocket(AssociationSocket):
    """The connection of a peer, which is closed at a PDU that is too long or takes too long."""

    def __init__(self, plain: AssociationSocket, server: Server) -> None:
        vars(self).update(vars(plain))  # it takes over the connection, and its first event
        self._server = server

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes` bytes, fewer if the peer closes the connection.

        Raises:
            OSError: they are too many, or do not arrive in time.
        """
        if nr_bytes > MAX_PDU_BYTES:
            self._server.note_limit(self.assoc, "too_large", f"a PDU of {nr_bytes} bytes")
            raise OSError("too many bytes")
        end, content = time.monotonic() + IDLE_S, bytearray()
        while len(content) < nr_bytes and self.socket is not None:
            part = self.socket.recv(min(_READ_BYTES, nr_bytes - len(content)))
            if not part:
                break
            content += part
            if time.monotonic() > end:
                raise TimeoutError
        return content


def _address(association: Association) -> str:
    return str(association.requestor.address)


def _hang_up(association: Association) -> None:
    """Close the connection; the association's threads see it and end."""
    connection = association.dul.socket
    if connection is not None and connection.socket is not None:
        with suppress(OSError):  # the peer closed it first
            connection.socket.shutdown(socket.SHUT_RDWR)
