"""What one peer may take of a node: connections, associations, and bytes at once."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pleura.apps.pacs.node.reception.server import ASSOCIATIONS, PER_PEER, WAITING_PER_PEER

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


@pytest.fixture
def node(start_node: Callable[..., Any]) -> Any:
    return start_node("--from", "ORTHANC", "--to", "PACS@127.0.0.1:1")


@pytest.fixture
def peer(node: Any) -> Iterator[Peer]:
    with ExitStack() as stack:
        yield Peer(node.port, stack)


def is_closed(connection: socket.socket) -> bool:
    """Whether the node closed the connection, perhaps after an A-ABORT."""
    try:
        while content := connection.recv(100):
            assert content[0] == ABORTED
    except ConnectionResetError:
        return True
    return True


@pytest.mark.parametrize("sent", [b"", associate_request()[:40]])
def test_silent_connections_block_no_sender(
    node: Any, peer: Peer, sent: bytes, small_films: Callable[[int], list[Dataset]], tools: Any
) -> None:
    silent = [peer.connect() for _ in range(200)]
    for connection in silent:
        try:
            connection.sendall(sent)
        except OSError:  # an older one, which has given way
            continue
    assert tools.send(node.port, *small_films(1)) == [0]
    assert is_closed(silent[0])
    tools.until(lambda: node.status().counts.get("too_many", 0) > 100, "they are counted")
    still_open = node.log().count("too many connections without an association")
    assert 200 - still_open <= 2 * WAITING_PER_PEER


def test_associations_of_one_address_leave_room_for_others(
    node: Any, peer: Peer, tools: SimpleNamespace
) -> None:
    answers = [peer.associate() for _ in range(30)]
    assert [answer[0] for answer in answers] == [ACCEPTED] * PER_PEER + [REJECTED] * (30 - PER_PEER)
    assert {answer[7:10] for answer in answers[PER_PEER:]} == {LOCAL_LIMIT}
    others = [peer.associate("127.0.0.2")[0] for _ in range(ASSOCIATIONS)]
    room = ASSOCIATIONS - PER_PEER
    assert others == [ACCEPTED] * room + [REJECTED] * (ASSOCIATIONS - room)
    refused = 30 - PER_PEER + ASSOCIATIONS - room
    tools.until(lambda: node.status().counts == {"too_many": refused}, "they are counted")


def memory_kb(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.parametrize("associated", [False, True])
def test_a_pdu_of_4_gb_is_refused_without_memory(
    node: Any, peer: Peer, associated: bool, tools: SimpleNamespace
) -> None:
    before = memory_kb(node.process.pid)
    connection = peer.connect()
    if associated:
        connection.sendall(associate_request())
        assert connection.recv(1000)[0] == ACCEPTED
    connection.sendall(pdu(DATA if associated else REQUEST, b"", length=0xFFFFFFF0))
    assert is_closed(connection)
    assert memory_kb(node.process.pid) - before < 20_000
    tools.until(lambda: node.status().counts == {"too_large": 1}, "it is counted")
    assert f"a PDU of {0xFFFFFFF0} bytes" in node.log()
    assert node.echo()
