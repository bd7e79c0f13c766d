"""Uploads that are many, large or slow, or whose length is wrong."""

from __future__ import annotations

import io
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
import numpy as np
import pytest
from PIL import Image

ROUTE = "/v1/segmentations"
POST = b"POST /v1/segmentations HTTP/1.1\r\nHost: localhost\r\n"
MB = 1_000_000


def connect(client: httpx.Client) -> socket.socket:
    return socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30)


def held_bytes(client: httpx.Client) -> float:
    """The bytes of uploads that the service holds or has reserved."""
    match = re.search(r"^pleura_upload_held_bytes (\S+)$", client.get("/metrics").text, re.M)
    assert match is not None
    return float(match[1])


def count_bytes(connection: socket.socket) -> int:
    """The number of bytes until the connection is closed."""
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


def send_in_chunks(client: httpx.Client, size: int, ready: threading.Barrier) -> int:
    """Send `size` bytes, the second half when all others have sent the first; the status."""

    def body() -> Iterator[bytes]:
        yield from [bytes(MB)] * (size // MB // 2)
        ready.wait(30)
        yield from [bytes(MB)] * (size // MB // 2)

    response = httpx.post(f"{client.base_url}{ROUTE}", content=body(), timeout=60)
    if response.status_code == 503:
        assert response.headers["retry-after"] == "2"
        assert "use all of the 32 MB" in response.json()["detail"]
    return response.status_code


def test_four_of_five_large_uploads_at_once_go_on(start: Callable[..., httpx.Client]) -> None:
    """Each has 127 MB, and the memory holds 512 MB: only the fifth is refused."""
    client = start()
    head = POST + b"Content-Length: 127000000\r\n\r\n"
    uploads = [connect(client) for _ in range(4)]
    for upload in uploads:
        upload.sendall(head + bytes(1000))
    wait_until(lambda: held_bytes(client) == 4 * 127 * MB)
    response = client.post(ROUTE, content=b"x" * (6 * MB))
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert client.post(ROUTE, content=b"x" * (3 * MB)).status_code == 415  # 508 + 3 < 512
    for upload in uploads:
        upload.sendall(bytes(127 * MB - 1000))
        assert upload.recv(100).startswith(b"HTTP/1.1 415 ")
        upload.close()
    wait_until(lambda: held_bytes(client) == 0)


def test_of_five_uploads_without_a_length_four_go_on(
    start: Callable[..., httpx.Client],
) -> None:
    """Each has 8 MB, and the memory holds 32 MB: one is refused, and the others go on."""
    client = start(request_bytes=8 * MB)
    ready = threading.Barrier(5)
    with ThreadPoolExecutor(5) as clients:
        pending = [clients.submit(send_in_chunks, client, 8 * MB, ready) for _ in range(5)]
        statuses = sorted(request.result() for request in pending)
    assert statuses[:4] == [415] * 4  # no films, but completely read
    assert statuses[4] in (415, 503)  # 415 if another one ended before
    wait_until(lambda: held_bytes(client) == 0)


def test_reserved_memory_of_an_idle_upload_is_released(
    start: Callable[..., httpx.Client],
) -> None:
    """An upload that sends less than it announced ends after the time for headers."""
    client = start(request_bytes=MB, headers_s=1.0)
    with connect(client) as idle:
        idle.sendall(POST + b"Content-Length: 900000\r\n\r\n" + bytes(10))
        wait_until(lambda: held_bytes(client) == 900_000)
        assert idle.recv(100).startswith(b"HTTP/1.1 408 ")
        wait_until(lambda: held_bytes(client) == 0)


def test_a_slow_reader_gets_all_of_a_large_answer(
    start: Callable[..., httpx.Client], films: Path
) -> None:
    """It reads for several times as long as it may stand still."""
    client = start(upload_s=0.5, upload_rate=1000.0)
    pictures = {"include": ["film", "values"]}
    film = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (2000, 1500), dtype=np.uint8)
    Image.fromarray(noise).save(film, "PNG")
    address = httpx.URL(ROUTE, params=pictures).raw_path
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        slow.settimeout(30)
        slow.connect((client.base_url.host, client.base_url.port or 0))
        size = film.getbuffer().nbytes
        slow.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % address)
        slow.sendall(b"Content-Length: %d\r\n\r\n%s" % (size, film.getvalue()))
        answer = slow.recv(10_000)
        while piece := slow.recv(400_000):
            answer += piece
            time.sleep(0.04)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    assert len(body) == int(length[1])


def test_a_wrong_length_is_refused(client: httpx.Client, films: Path) -> None:
    """Bytes after the announced length are another, invalid request."""
    film = (films / "a.png").read_bytes()
    with connect(client) as connection:
        connection.sendall(POST + b"Content-Length: 10\r\n\r\n" + film)
        assert connection.recv(100).startswith(b"HTTP/1.1 415 ")
    for length in (b"-1", b"1e3", b"0x10", b"10, 11", b"10\r\nContent-Length: 11"):
        with connect(client) as connection:
            connection.sendall(POST + b"Content-Length: " + length + b"\r\n\r\n" + film)
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    with connect(client) as connection:
        connection.sendall(POST + b"Content-Length: 99999999999999999999\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
    assert client.post(ROUTE, content=film).status_code == 200


def test_a_chunked_body_needs_no_length(client: httpx.Client, films: Path) -> None:
    film = (films / "a.png").read_bytes()
    response = client.post(ROUTE, content=(film[at : at + 7] for at in range(0, len(film), 7)))
    assert response.status_code == 200
    endless = client.post(ROUTE, content=(bytes(50_000) for _ in range(100)))
    assert endless.status_code == 413
    with connect(client) as broken:
        broken.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert broken.recv(100).startswith(b"HTTP/1.1 400 ")
    wait_until(lambda: held_bytes(client) == 0)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "identity, gzip"])
def test_a_compressed_body_is_415(client: httpx.Client, films: Path, coding: str) -> None:
    body = (films / "a.png").read_bytes()
    response = client.post(ROUTE, content=body, headers={"Content-Encoding": coding})
    assert response.status_code == 415
    assert f"compressed (Content-Encoding: {coding})" in response.json()["detail"]
    plain = client.post(ROUTE, content=body, headers={"Content-Encoding": "identity"})
    assert plain.status_code == 200


def test_expect_100_continue_is_answered_before_the_body(client: httpx.Client) -> None:
    """A client with `Expect: 100-continue` need not send a body that is refused."""
    with connect(client) as connection:
        start = time.monotonic()
        head = b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(POST + head)
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")
        assert time.monotonic() - start < 4
    with connect(client) as connection:
        connection.sendall(POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert connection.recv(100).startswith(b"HTTP/1.1 415 ")


def test_an_unread_answer_is_cut_off(start: Callable[..., httpx.Client], films: Path) -> None:
    """The client has small buffers and reads nothing."""
    client = start(upload_s=1.0)
    film = (films / "a.png").read_bytes()
    size = len(client.get("/v1/example.png").content)  # it is drawn once
    with socket.socket() as client_socket:
        client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client_socket.settimeout(30)
        client_socket.connect((client.base_url.host, client.base_url.port or 0))
        pending = b"GET /v1/example.png HTTP/1.1\r\nHost: localhost\r\n\r\n"
        client_socket.sendall(pending * 200)  # more than the buffers of two sockets hold
        time.sleep(3)
        received_bytes = count_bytes(client_socket)
    assert received_bytes < 200 * size / 2
    assert client.post(ROUTE, content=film).status_code == 200


def test_many_silent_connections_are_closed(
    start: Callable[..., httpx.Client], films: Path
) -> None:
    """There are more than may be open; later the service answers again."""
    client = start(headers_s=0.5)
    silent = [connect(client) for _ in range(520)]
    body = (films / "a.png").read_bytes()

    def is_served() -> bool:
        try:
            return httpx.post(f"{client.base_url}{ROUTE}", content=body).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_served)
    for connection in silent:
        connection.close()


def test_a_form_of_many_small_pieces_is_parsed_in_linear_time(
    start: Callable[..., httpx.Client], films: Path
) -> None:
    """2 MB that look like the beginning of a boundary."""
    client = start()
    kind = {"Content-Type": "multipart/form-data; boundary=" + "-" * 60}
    part = b"--" + b"-" * 60 + b'\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    pieces: list[Any] = [b"\r", b"\r\n", b"\r\n" + b"-" * 61, b"-"]
    for piece in pieces:
        start_s = time.monotonic()
        response = client.post(ROUTE, content=part + piece * (2 * MB // len(piece)), headers=kind)
        assert response.status_code == 400
        assert time.monotonic() - start_s < 20
    assert client.post(ROUTE, content=(films / "a.png").read_bytes()).status_code == 200
