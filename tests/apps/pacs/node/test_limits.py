"""What one peer may take of a node: connections, associations, and bytes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.faults.peers import (
    ACCEPTED,
    DATA,
    LOCAL_LIMIT,
    REJECTED,
    REQUEST,
    Peer,
    associate_request,
    is_closed,
    memory_kb,
    pdu,
)
from pydicom.dataset import Dataset

from pleura.apps.pacs.node.reception.server import ASSOCIATIONS, PER_PEER, WAITING_PER_PEER


@pytest.fixture
def node(start_node: Callable[..., Any]) -> Any:
    return start_node("--from", "ORTHANC", "--to", "PACS@127.0.0.1:1")


@pytest.fixture
def peer(node: Any) -> Iterator[Peer]:
    with ExitStack() as stack:
        yield Peer(node.port, stack)


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
