"""A service on a free port of this machine, in a thread of this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from numpy.typing import NDArray

from pleura.apps.serve.application import application
from pleura.apps.serve.limits import Limits
from pleura.apps.serve.service import Service
from pleura.core.card import Card
from pleura.runtime.engine import Engine, OnnxEngine


class Halting:
    """An engine that computes only while it is let."""

    def __init__(self, engine: Engine) -> None:
        self.inner, self.name, self.weights_sha256 = engine, engine.name, engine.weights_sha256
        self.card: Card = engine.card
        self.go = threading.Event()

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        assert self.go.wait(30)
        return self.inner.predict(batch)


@contextmanager
def running(service: Service) -> Iterator[str]:
    """The address of a server that runs `service`."""
    server = uvicorn.Server(
        uvicorn.Config(
            application(service), ws="none", http="h11", log_level="error", access_log=False
        )
    )
    with socket.create_server(("127.0.0.1", 0), backlog=128) as bound:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="session")
def engine(tiny_weights: Path) -> Engine:
    return OnnxEngine(tiny_weights.read_bytes(), threads=1)


@pytest.fixture(scope="session")
def start(engine: Engine) -> Iterator[Callable[..., httpx.Client]]:
    """`start(engine=..., key=..., **limits)`: a client of a new server."""
    with ExitStack() as servers:

        def begin(engine: Engine = engine, key: str | None = None, **limits: float) -> httpx.Client:
            service = Service(engine, Limits(**limits), key=key)  # type: ignore[arg-type]
            address = servers.enter_context(running(service))
            return servers.enter_context(httpx.Client(base_url=address, timeout=60))

        yield begin


@pytest.fixture(scope="session")
def client(start: Callable[..., httpx.Client]) -> httpx.Client:
    """Of a server with small limits, which most tests share."""
    return start(request_bytes=1_000_000, film_pixels=1_000_000, request_films=4, upload_s=1.0)


@pytest.fixture
def halting(engine: Engine) -> Halting:
    return Halting(engine)
