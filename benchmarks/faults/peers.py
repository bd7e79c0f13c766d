"""Peers of a node that keep to no rule: raw connections, requests in part, lengths of gigabytes."""

from __future__ import annotations

import socket
import struct
from contextlib import ExitStack
from pathlib import Path

REQUEST, ACCEPTED, REJECTED, ABORTED, DATA = 1, 2, 3, 7, 4
LOCAL_LIMIT = b"\x02\x03\x02"  # transient, service provider, local limit exceeded (PS3.8 9.3.4)


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def pdu(kind: int, content: bytes, *, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(content) if length is None else length) + content


def associate_request() -> bytes:
    """An A-ASSOCIATE-RQ of ORTHANC for C-ECHO (PS3.8 9.3.2)."""
    syntaxes = item(0x30, b"1.2.840.10008.1.1") + item(0x40, b"1.2.840.10008.1.2")
    user = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4")
    content = (
        *(struct.pack(">HH", 1, 0), b"PLEURA".ljust(16), b"ORTHANC".ljust(16), b"\0" * 32),
        *(item(0x10, b"1.2.840.10008.3.1.1.1"), item(0x20, b"\1\0\0\0" + syntaxes)),
        item(0x50, user),
    )
    return pdu(REQUEST, b"".join(content))


class Peer:
    """Raw connections to a node, which stay open until the test ends."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self._port, self._stack = port, stack

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        connection = socket.create_connection(
            ("127.0.0.1", self._port), timeout=20, source_address=(address, 0)
        )
        return self._stack.enter_context(connection)

    def associate(self, address: str = "127.0.0.1") -> bytes:
        """The answer to an A-ASSOCIATE-RQ."""
        connection = self.connect(address)
        connection.sendall(associate_request())
        return connection.recv(10)


def is_closed(connection: socket.socket) -> bool:
    """Whether the node closed the connection, perhaps after an A-ABORT."""
    try:
        while content := connection.recv(100):
            assert content[0] == ABORTED
    except ConnectionResetError:
        return True
    return True


def memory_kb(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
