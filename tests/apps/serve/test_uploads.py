"""Uploads that are many, large, slow, or not what they announce."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

WHERE = "/v1/segmentations"
POST = b"POST /v1/segmentations HTTP/1.1\r\nHost: localhost\r\n"
MB = 1_000_000


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)


def held(client: httpx.Client) -> float:
    """Bytes of uploads that the service holds, or has promised room for."""
    found = re.search(r"^pleura_upload_bytes_held (\S+)$", client.get("/metrics").text, re.M)
    assert found is not None
    return float(found[1])


def all_of(connection: socket.socket) -> int:
    """How many bytes come until it is closed."""
    size = 0
    with suppress(ConnectionResetError):
        while piece := connection.recv(100_000):
            size += len(piece)
    return size


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def sent_in_chunks(client: httpx.Client, size: int, ready: threading.Barrier) -> int:
    """Send so many bytes, the second half of them once all others are as far; the status."""

    def body() -> Iterator[bytes]:
        yield from [bytes(MB)] * (size // MB // 2)
        ready.wait(30)
        yield from [bytes(MB)] * (size // MB // 2)

    told = httpx.post(f"{client.base_url}{WHERE}", content=body(), timeout=60)
    if told.status_code == 503:
        assert told.headers["retry-after"] == "2"
        assert "the most that is kept in memory" in told.json()["detail"]
    return told.status_code


def test_of_five_large_uploads_at_once_four_go_on(start: Callable[..., httpx.Client]) -> None:
    """Each of 127 of 128 MB, where the memory holds four times 128: the fifth alone is refused."""
    client = start()
    head = POST + b"Content-Length: 127000000\r\n\r\n"
    begun = [connected(client) for _ in range(4)]
    for upload in begun:
        upload.sendall(head + bytes(1000))
    wait_until(lambda: held(client) == 4 * 127 * MB)
    told = client.post(WHERE, content=b"x" * (6 * MB))
    assert (told.status_code, told.headers["retry-after"]) == (503, "2")
    assert client.post(WHERE, content=b"x" * (3 * MB)).status_code == 415  # 508 + 3 < 512
    for upload in begun:
        upload.sendall(bytes(127 * MB - 1000))
        assert upload.recv(100).startswith(b"HTTP/1.1 415 ")
        upload.close()
    wait_until(lambda: held(client) == 0)


def test_uploads_without_a_length_do_not_all_refuse_each_other(
    start: Callable[..., httpx.Client],
) -> None:
    """Five of 8 MB grow side by side where 32 MB fit: one gives way, and the others go on."""
    client = start(request_bytes=8 * MB)
    ready = threading.Barrier(5)
    with ThreadPoolExecutor(5) as clients:
        asked = [clients.submit(sent_in_chunks, client, 8 * MB, ready) for _ in range(5)]
        statuses = sorted(request.result() for request in asked)
    assert statuses[:4] == [415] * 4  # null bytes, read to their end
    assert statuses[4] in (415, 503)  # 415 if another had ended before
    wait_until(lambda: held(client) == 0)


def test_room_that_is_announced_and_not_used_is_given_to_others(
    start: Callable[..., httpx.Client],
) -> None:
    """Whoever announces much and sends little keeps others out for the time headers have only."""
    client = start(request_bytes=MB, headers_s=1.0)
    with connected(client) as idle:
        idle.sendall(POST + b"Content-Length: 900000\r\n\r\n" + bytes(10))
        wait_until(lambda: held(client) == 900_000)
        assert idle.recv(100).startswith(b"HTTP/1.1 408 ")
        wait_until(lambda: held(client) == 0)


def test_a_length_that_is_not_true_brings_no_more_bytes(client: httpx.Client, films: Path) -> None:
    """What comes after the announced length is another request, and this one none."""
    film = (films / "a.png").read_bytes()
    with connected(client) as liar:
        liar.sendall(POST + b"Content-Length: 10\r\n\r\n" + film)
        assert liar.recv(100).startswith(b"HTTP/1.1 415 ")
    for length in (b"-1", b"1e3", b"0x10", b"10, 11", b"10\r\nContent-Length: 11"):
        with connected(client) as liar:
            liar.sendall(POST + b"Content-Length: " + length + b"\r\n\r\n" + film)
            assert liar.recv(100).startswith(b"HTTP/1.1 400 ")
    with connected(client) as liar:
        liar.sendall(POST + b"Content-Length: 99999999999999999999\r\n\r\n")
        assert liar.recv(100).startswith(b"HTTP/1.1 413 ")
    assert client.post(WHERE, content=film).status_code == 200


def test_chunks_are_as_good_as_a_length(client: httpx.Client, films: Path) -> None:
    film = (films / "a.png").read_bytes()
    told = client.post(WHERE, content=(film[at : at + 7] for at in range(0, len(film), 7)))
    assert told.status_code == 200
    endless = client.post(WHERE, content=(bytes(50_000) for _ in range(100)))
    assert endless.status_code == 413
    with connected(client) as broken:
        broken.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert broken.recv(100).startswith(b"HTTP/1.1 400 ")
    wait_until(lambda: held(client) == 0)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip"])
def test_a_compressed_body_is_said_to_be_one(
    client: httpx.Client, films: Path, coding: str
) -> None:
    body = (films / "a.png").read_bytes()
    told = client.post(WHERE, content=body, headers={"Content-Encoding": coding})
    assert told.status_code == 415
    assert f"compressed (Content-Encoding: {coding})" in told.json()["detail"]
    plain = client.post(WHERE, content=body, headers={"Content-Encoding": "identity"})
    assert plain.status_code == 200


def test_who_asks_before_sending_is_answered_before_sending(client: httpx.Client) -> None:
    """`Expect: 100-continue`: a request that is refused anyway need not be sent."""
    with connected(client) as polite:
        start = time.monotonic()
        head = b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
        polite.sendall(POST + head)
        assert polite.recv(100).startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - start < 4
    with connected(client) as polite:
        polite.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert polite.recv(100).startswith(b"HTTP/1.1 100 ")
        polite.sendall(b"abc")
        assert polite.recv(100).startswith(b"HTTP/1.1 415 ")


def test_an_answer_that_nobody_takes_is_cut_off(
    start: Callable[..., httpx.Client], films: Path
) -> None:
    """Its buffers are small and it reads nothing: the answer cannot leave."""
    client = start(upload_s=1.0)
    film = (films / "a.png").read_bytes()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(30)
        deaf.connect((client.base_url.host, client.base_url.port or 0))
        asked = b"GET /v1/example.png HTTP/1.1\r\nHost: localhost\r\n\r\n"
        deaf.sendall(asked * 200)  # more than the buffers of two sockets hold
        time.sleep(3)
        came = all_of(deaf)
    assert came < 200 * len(client.get("/v1/example.png").content) / 2
    assert client.post(WHERE, content=film).status_code == 200


def test_many_connections_that_say_nothing_are_let_go(
    start: Callable[..., httpx.Client], films: Path
) -> None:
    """More than may be open at a time; a moment later everybody is served again."""
    client = start(headers_s=0.5)
    silent = [connected(client) for _ in range(520)]
    body = (films / "a.png").read_bytes()

    def is_served() -> bool:
        try:
            return httpx.post(f"{client.base_url}{WHERE}", content=body).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_served)
    for connection in silent:
        connection.close()


def test_a_form_of_many_small_pieces_takes_no_longer_than_its_size(
    start: Callable[..., httpx.Client], films: Path
) -> None:
    """2 MB of what looks like the beginning of a boundary; others are answered meanwhile."""
    client = start()
    kind = {"Content-Type": "multipart/form-data; boundary=" + "-" * 60}
    part = b"--" + b"-" * 60 + b'\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    pieces: list[Any] = [b"\r", b"\r\n", b"\r\n" + b"-" * 61, b"-"]
    for piece in pieces:
        start_s = time.monotonic()
        told = client.post(WHERE, content=part + piece * (2 * MB // len(piece)), headers=kind)
        assert told.status_code == 400
        assert time.monotonic() - start_s < 20
    assert client.post(WHERE, content=(films / "a.png").read_bytes()).status_code == 200
