"""Workers that hang in a film, and an end that does not wait for them for ever."""

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

from pleura.apps.serve.limits import Limits
from pleura.apps.serve.service import Service

WHERE = "/v1/segmentations"


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held_bytes(client: httpx.Client) -> float:
    found = re.search(r"^pleura_upload_bytes_held (\S+)$", client.get("/metrics").text, re.M)
    assert found is not None
    return float(found[1])


def test_a_worker_that_hangs_is_seen_until_it_is_over(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    client = start(engine=halting, answer_s=0.5)
    body = (films / "a.png").read_bytes()
    assert client.get("/readyz").json()["status"] == "ready"
    assert client.post(WHERE, content=body).status_code == 504
    wait_until(lambda: client.get("/readyz").status_code == 503)
    said = client.get("/readyz").json()
    assert said == {"status": "stuck", "held": 1, "places": 64, "stuck": 1}
    assert "pleura_films_stuck 1.0" in client.get("/metrics").text
    assert held_bytes(client) == len(body)  # it still lies in memory
    assert client.get("/healthz").status_code == 200
    halting.go.set()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert client.get("/readyz").json() == {
        "status": "ready", "held": 0, "places": 64, "stuck": 0,
    }  # fmt: skip
    assert held_bytes(client) == 0
    assert client.post(WHERE, content=body).status_code == 200


def test_nothing_is_accepted_while_all_workers_hang(
    start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    """Four workers: what is sent to them would wait for nothing, and its bytes with it."""
    client = start(engine=halting, answer_s=0.5)
    body = (films / "a.png").read_bytes()

    def ask(_: int) -> int:
        return httpx.post(f"{client.base_url}{WHERE}", content=body, timeout=60).status_code

    with ThreadPoolExecutor(6) as clients:
        assert list(clients.map(ask, range(6))) == [504] * 6
    wait_until(lambda: bool(client.get("/readyz").json()["stuck"] == 4))
    assert client.get("/readyz").json()["held"] == 4  # what had not begun was given up
    assert held_bytes(client) == 4 * len(body)
    told = client.post(WHERE, content=body)
    assert (told.status_code, told.headers["retry-after"]) == (503, "60")
    assert "every worker has been busy" in told.json()["detail"]
    halting.go.set()
    wait_until(lambda: client.get("/readyz").status_code == 200)
    assert client.post(WHERE, content=body).status_code == 200


def test_a_dead_thread_of_the_network_is_seen(engine: Any) -> None:
    service = Service(engine)
    assert service.status() == "ready"
    assert service.shared.close()
    assert service.status() == "stuck"
    service.close()


def test_a_counter_that_fails_does_not_end_the_networks_thread(engine: Any) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    service = Service(engine, Limits())
    service.shared._seen = fail
    side = engine.card.side
    with pytest.raises(ZeroDivisionError):
        service.shared.predict(np.zeros((1, 1, side, side), np.float32))
    assert service.shared.is_alive
    service.close()


HANGING = """
import ctypes, sys
from pleura.apps.cli.main import main
from pleura.apps.serve import answers as films
libc = ctypes.CDLL(None)  # a call of it lets go of Python's lock, as decoders do
def hang(*args, **options):
    libc.sleep(600)
films.read_radiograph = hang
sys.exit(main())
"""


@pytest.fixture
def hanging(tiny_weights: Path) -> Iterator[Callable[..., tuple[str, subprocess.Popen[str]]]]:
    """`pleura serve`, whose decoder never comes back: its address and its process."""
    begun: list[subprocess.Popen[str]] = []

    def begin(*options: object) -> tuple[str, subprocess.Popen[str]]:
        serve = ["serve", "--port", "0", "--threads", "1", "--weights", str(tiny_weights)]
        command = [sys.executable, "-c", HANGING, *serve, *map(str, options)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address is not None
        return address[0], process

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_comes_in_time_though_a_film_hangs(
    hanging: Callable[..., Any], films: Path, number: signal.Signals
) -> None:
    """One film hangs, one waits, one is still being sent: all three clients hear of the end."""
    address, process = hanging("--grace", 2, "--jobs", 1)
    body = (films / "a.png").read_bytes()

    def ask(content: Any) -> httpx.Response:
        return httpx.post(f"{address}{WHERE}", content=content, timeout=60)

    def dribble() -> Iterator[bytes]:
        while True:
            yield body[:10]
            time.sleep(0.1)

    with ThreadPoolExecutor(3) as clients:
        asked = [clients.submit(ask, content) for content in (body, body)]
        wait_until(lambda: bool(httpx.get(f"{address}/readyz").json()["held"] == 2))
        slow = clients.submit(ask, dribble())
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert time.monotonic() - start < 15
        for answer in [request.result() for request in asked]:
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:pleura:problem:stopping"
            assert answer.headers["retry-after"] == "30"
        with suppress(httpx.TransportError):  # hung up on while it was sending, which is as well
            assert slow.result().status_code == 503
    assert process.returncode == 1
    assert "a film was still worked on after 2 s" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_second_signal_ends_at_once(hanging: Callable[..., Any], films: Path) -> None:
    address, process = hanging("--grace", 300)
    body = (films / "a.png").read_bytes()
    with ThreadPoolExecutor(1) as clients:
        asked = clients.submit(lambda: httpx.post(f"{address}{WHERE}", content=body, timeout=120))
        wait_until(lambda: bool(httpx.get(f"{address}/readyz").json()["held"] == 1))
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert time.monotonic() - start < 15
        with suppress(httpx.TransportError):
            assert asked.result().status_code == 503
    assert process.returncode == 1
    assert "Traceback" not in said
