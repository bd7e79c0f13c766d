"""Fixtures: a running service, weights with known answers, and a browser for the page."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pleura.apps.serve.limits.limits import Limits
from pleura.apps.serve.server import create_server
from pleura.apps.serve.service import Service
from pleura.core.card import CARD_KEY, Card
from pleura.runtime.engine import Engine, OnnxEngine


class PausedEngine:
    """An engine that computes only while its event `go` is set."""

    def __init__(self, engine: Engine) -> None:
        self.inner, self.name, self.weights_sha256 = engine, engine.name, engine.weights_sha256
        self.card: Card = engine.card
        self.go = threading.Event()
        self.batches: list[int] = []

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.batches.append(len(batch))
        assert self.go.wait(30)
        return self.inner.predict(batch)


@contextmanager
def running(service: Service) -> Iterator[str]:
    """Run a server for `service` in a thread; yields its URL."""
    server = create_server(service)
    logging.getLogger("uvicorn").propagate = True  # so that caplog sees its records
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


SIDE = 64
CHANNELS = ("right_field", "left_field", "right_whole", "left_whole", "heart")


def five_channels(*, level: float = 0.5) -> bytes:
    """Weights for `draw_film`: pixels darker than `level` are lung, right or left by their half.

    In 64ths of the film's sides: the heart lies in rows 24 to 40 and columns 26 to 46. By `whole`
    the left lung also has columns 36 to 40 of these rows. With a `level` of -1 no pixel is dark:
    there is no lung by `field`, and by `whole` only this part of the left one.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE]
    beside = (rows >= 24) & (rows < 40)
    drawn = {
        "on_right": columns < SIDE // 2,
        "on_left": columns >= SIDE // 2,
        "behind": beside & (columns >= 36) & (columns < 40),
        "heart": beside & (columns >= 26) & (columns < 46),
    }
    dark, steep = (
        helper.make_tensor(name, TensorProto.FLOAT, [], [value])
        for name, value in (("level", level), ("steep", 20.0))
    )
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Sub", ["level", "image"], ["dark"]),
            node("Mul", ["dark", "steep"], ["logit"]),
            node("Sigmoid", ["logit"], ["lungs"]),
            node("Mul", ["lungs", "on_right"], ["right"]),
            node("Mul", ["lungs", "on_left"], ["left"]),
            node("Max", ["left", "behind"], ["left_whole"]),
            node("Sub", ["lungs", "lungs"], ["none"]),
            node("Max", ["none", "heart"], ["hearts"]),  # a heart for each film of the batch
            node("Concat", ["right", "left", "right", "left_whole", "hearts"], ["maps"], axis=1),
            node("Identity", ["maps"], ["probabilities"]),
        ],
        "drawn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 5, SIDE, SIDE])],
        [
            dark,
            steep,
            *(
                numpy_helper.from_array(plane[None, None].astype(np.float32), name)
                for name, plane in drawn.items()
            ),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    card = Card(name="five", version="0.1.0", channels=CHANNELS, side=SIDE)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def five_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with both definitions, right and left apart, and the heart."""
    path = tmp_path_factory.mktemp("weights") / "five.onnx"
    path.write_bytes(five_channels())
    return path


@pytest.fixture(scope="session")
def refusing_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that find no lung by `field`, and a part of one by `whole`."""
    path = tmp_path_factory.mktemp("weights") / "refusing.onnx"
    path.write_bytes(five_channels(level=-1.0))
    return path


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


@pytest.fixture(scope="session", name="running")
def running_fixture() -> Callable[[Service], AbstractContextManager[str]]:
    """`running(service)` runs a server for a service, and yields its URL."""
    return running


@pytest.fixture(scope="session")
def client(start: Callable[..., httpx.Client]) -> httpx.Client:
    """A client of a server with small limits, which most tests share."""
    return start(request_bytes=1_000_000, film_pixels=1_000_000, request_films=4, upload_s=1.0)


@dataclass(frozen=True)
class ServeProcess:
    """The command `pleura serve` in its own process."""

    address: str
    process: subprocess.Popen[str]

    def memory_mb(self, field: str = "VmRSS") -> float:
        """The resident memory of the process, MB; `VmHWM` is its peak."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M)[1]) / 1024  # type: ignore[index]

    def stop(self) -> tuple[int, str]:
        """Send SIGTERM and wait; returns the exit code and the rest of stderr."""
        self.process.send_signal(signal.SIGTERM)
        _, text = self.process.communicate(timeout=60)
        return self.process.returncode, text


@pytest.fixture
def serve(tiny_weights: Path) -> Iterator[Callable[..., ServeProcess]]:
    """`serve("--megabytes", 5)` starts the command on a free port with the small weights."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: object) -> ServeProcess:
        command = [sys.executable, "-m", "pleura", "serve", "--port", "0", "--threads", "1"]
        more = ["--weights", str(tiny_weights), *map(str, options)]
        process = subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address is not None
        return ServeProcess(address[0], process)

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def halting(engine: Engine) -> PausedEngine:
    return PausedEngine(engine)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = os.environ.get("PLEURA_SCREENSHOTS")
"""A folder for screenshots of the tests, for people to look at."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=30_000)  # a busy machine must not fail a test
    assert CHROMIUM, "no chromium here: apt-get install chromium (`make test` does it)"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def address(start: Callable[..., httpx.Client]) -> str:
    return str(start().base_url)


@contextmanager
def opened(browser: Browser, address: str, name: str) -> Iterator[Page]:
    """The loaded page. A script error or a request to another host fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 820})
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda message: errors.append(message.text) if "Policy" in message.text else None
    )
    page.on("request", lambda request: note_foreign_request(request.url, address, errors))
    page.goto(address)
    yield page
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png")
    page.close()
    assert errors == []


@pytest.fixture
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, address, request.node.name) as page:
        yield page


@pytest.fixture(scope="session")
def five_address(start: Callable[..., httpx.Client], five_weights: Path) -> str:
    """The URL of a service whose weights have both definitions and the heart."""
    return str(start(engine=OnnxEngine(five_weights.read_bytes(), threads=1)).base_url)


@pytest.fixture
def five(browser: Browser, five_address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    with opened(browser, five_address, request.node.name) as page:
        yield page


@pytest.fixture(scope="session")
def open_page(browser: Browser) -> Callable[..., AbstractContextManager[Page]]:
    """`open_page(address, name)` yields the loaded page; `name` is that of its screenshot."""
    return partial(opened, browser)


def note_foreign_request(url: str, address: str, errors: list[str]) -> None:
    if not url.startswith((address, "blob:")):
        errors.append(f"request to another host: {url}")


@pytest.fixture(scope="session")
def give() -> Callable[..., None]:
    """`give(page, *films)` chooses films, and waits until each is done or has failed and the first
    of them is on the screen."""

    def choose(page: Page, *films: Path) -> None:
        page.set_input_files("#files", list(films))
        expect(page.locator('main[aria-busy="false"]')).to_be_attached()
        tiles = page.locator("#films button")
        settled = page.locator("#films button[data-status]")
        expect(settled).to_have_count(tiles.count(), timeout=60_000)
        shown = page.locator("#screen[data-shown], #screen:has(#failure:not([hidden]))")
        expect(shown).to_be_attached()

    return choose


SETTLED = """async () => {
  const result = (request) => new Promise((done) => {
    request.onsuccess = () => done(request.result);
  });
  for (const { name } of await indexedDB.databases()) {
    const database = await result(indexedDB.open(name));
    const stores = [...database.objectStoreNames];
    await result(database.transaction(stores).objectStore(stores[0]).count());
    database.close();
  }
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  await frame();
  await frame();
}"""
"""Waits for what the page stores (a reading transaction waits for those that write) and draws."""


@pytest.fixture(scope="session")
def settle() -> Callable[[Page], None]:
    """`settle(page)` waits until the page has stored and drawn all that it was asked for."""

    def wait(page: Page) -> None:
        page.evaluate(SETTLED)

    return wait


@pytest.fixture(scope="session")
def axe_violations() -> Callable[[Page], list[str]]:
    """The accessibility rules of axe-core that a page breaks, each with its elements."""

    def find(page: Page) -> list[str]:
        violations = Axe().run(page).response["violations"]
        return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in violations]

    return find
