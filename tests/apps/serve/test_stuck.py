"""Workers that hang in a film: the service reports them, and its end does not wait for them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from pleura.apps.serve.limits.limits import Limits
from pleura.apps.serve.service import Service

ROUTE = "/v1/segmentations"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held_bytes(client: httpx.Client) -> float:
    match = re.search(r"^pleura_upload_held_bytes (\S+)$", client.get("/metrics").text, re.M)
    assert match is not None
    return float(match[1])


def test_a_stuck_worker_is_reported_until_it_continues(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting, answer_s=0.5)
    body = (films / "a.png").read_bytes()
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.post(ROUTE, content=body).status_code == 504
    wait_until(lambda: client.get("/readyz").status_code == 503)
    text = client.get("/readyz").json()
    assert text == {"status": "stuck", "held": 1, "places": 64, "stuck": 1}
    assert "pleura_films_stuck 1.0" in client.get("/metrics").text
    assert held_bytes(client) == len(body)  # the film is still in memory
    assert client.get("/healthz").status_code == 200
    halting.go.set()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/readyz").json() == {
        "status": "ready", "held": 0, "places": 64, "stuck": 0,
    }  # fmt: skip
    assert held_bytes(client) == 0
    assert client.post(ROUTE, content=body).status_code == 200


def test_no_film_is_accepted_while_all_workers_are_stuck(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    """With all four workers stuck, a further film would only use memory."""
    client = start(engine=halting, answer_s=0.5)
    body = (films / "a.png").read_bytes()

    def ask(_: int) -> int:
        return httpx.post(f"{client.base_url}{ROUTE}", content=body, timeout=60).status_code

    with ThreadPoolExecutor(6) as clients:
        assert list(clients.map(ask, range(6))) == [504] * 6
    wait_until(lambda: bool(client.get("/readyz").json()["stuck"] == 4))
    assert client.get("/readyz").json()["held"] == 4  # films that had not begun were cancelled
    assert held_bytes(client) == 4 * len(body)
    response = client.post(ROUTE, content=body)
    assert (response.status_code, response.headers["retry-after"]) == (503, "60")
    assert "every worker has been busy" in response.json()["detail"]
    halting.go.set()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert client.post(ROUTE, content=body).status_code == 200


def test_the_service_is_stuck_without_the_networks_thread(engine: Any) -> None:
    service = Service(engine)
    assert service.status() == "ready"
    assert service.shared_engine.close()
    assert service.status() == "stuck"
    service.close()


def test_a_counter_that_fails_does_not_end_the_networks_thread(engine: Any) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    service = Service(engine, Limits())
    service.shared_engine._on_batch = fail
    side = engine.card.side
    with pytest.raises(ZeroDivisionError):
        service.shared_engine.predict(np.zeros((1, 1, side, side), np.float32))
    assert service.shared_engine.is_alive
    service.close()


HANGING = """
import ctypes, sys
from pleura.apps.cli.main import main
from pleura.apps.serve.responses import film_response
libc = ctypes.CDLL(None)  # its calls release Python's lock, as decoders do
def hang(*args, **options):
    libc.sleep(600)
film_response.read_film = hang
sys.exit(main())
"""


@pytest.fixture
def hanging(tiny_weights: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """Start `pleura serve` with a decoder that never returns: its URL and its process."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: object) -> tuple[str, subprocess.Popen[str]]:
        serve = ["serve", "--port", "0", "--threads", "1", "--weights", str(tiny_weights)]
        command = [sys.executable, "-c", HANGING, *serve, *map(str, options)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address is not None
        return address[0], process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_service_ends_in_time_though_a_film_hangs(
    hanging: Callable[..., Any], films: Path, number: signal.Signals
) -> None:
    """One film hangs, one waits and one is being uploaded: all three clients get an answer."""
    address, process = hanging("--grace", 2, "--jobs", 1)
    body = (films / "a.png").read_bytes()

    def ask(content: Any) -> httpx.Response:
        return httpx.post(f"{address}{ROUTE}", content=content, timeout=60)

    def dribble() -> Iterator[bytes]:
        while True:
            yield body[:10]
            time.sleep(0.1)

    with ThreadPoolExecutor(3) as clients:
        pending = [clients.submit(ask, content) for content in (body, body)]
        wait_until(lambda: bool(httpx.get(f"{address}/readyz").json()["held"] == 2))
        slow = clients.submit(ask, dribble())
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        assert time.monotonic() - start < 15
        for answer in [request.result() for request in pending]:
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:pleura:problem:stopping"
            assert answer.headers["retry-after"] == "30"
        with suppress(httpx.TransportError):  # the connection may also be cut during the upload
            assert slow.result().status_code == 503
    assert process.returncode == 1
    assert "a film was still worked on after 2 s" in stderr
    assert "Traceback" not in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_second_signal_ends_the_service_at_once(hanging: Callable[..., Any], films: Path) -> None:
    address, process = hanging("--grace", 300)
    body = (films / "a.png").read_bytes()
    with ThreadPoolExecutor(1) as clients:
        pending = clients.submit(lambda: httpx.post(f"{address}{ROUTE}", content=body, timeout=120))
        wait_until(lambda: bool(httpx.get(f"{address}/readyz").json()["held"] == 1))
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert time.monotonic() - start < 15
        with suppress(httpx.TransportError):
            assert pending.result().status_code == 503
    assert process.returncode == 1
    assert "Traceback" not in stderr
