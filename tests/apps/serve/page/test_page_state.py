"""The page shows name, picture, numbers, verdict and downloads of the same film, always."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import shipped

SIGNS = {"ok": "OK", "review": "Please review", "refused": "Refused"}

WATCH = """() => {
  const text = (id) => document.getElementById(id).textContent;
  const seen = (id) => document.getElementById(id).checkVisibility();
  window.states = new Set();
  const note = () => {
    const rows = [...document.querySelectorAll("#areas tr")];
    const area = rows.find((row) => row.textContent.startsWith("Area, px"));
    window.states.add(JSON.stringify({
      name: text("name"), facts: text("facts"),
      verdict: text("verdict-name"), doubts: text("doubts"),
      area: area ? area.lastChild.textContent : "",
      size: document.getElementById("stage").dataset.size ?? "",
      label: document.getElementById("stage").getAttribute("aria-label"),
      result: seen("result"), downloads: seen("downloads"), picture: seen("stage"),
      veil: seen("veil"), failure: seen("failure") ? text("failure-text") : "", wait: seen("wait"),
    }));
  };
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(note).observe(document.body, all);
  const frame = () => { note(); requestAnimationFrame(frame); };
  frame();
}"""
"""Records every state of the page that was visible: at each frame, and after each task."""

SLOW = """(delays) => {
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...more) {
    const delay = message.job === "view" ? delays.shift() ?? 0 : 0;
    setTimeout(() => post.call(this, message, ...more), delay);
  };
}"""
"""Delays the decoding of each next film by so many milliseconds."""

LOST = """() => {
  const post = Worker.prototype.postMessage;
  window.mend = () => { Worker.prototype.postMessage = post; };
  Worker.prototype.postMessage = function (message, ...more) {
    post.call(this, message.job === "view" ? { ...message, job: "none" } : message, ...more);
  };
}"""
"""Makes the decoding of films fail, as it does where memory is short."""


@dataclass(frozen=True)
class Large:
    """A film of about 9 megapixels, and its result."""

    path: Path
    size: tuple[int, int]
    """Width and height."""

    verdict: str
    doubts: str
    area: str

    @property
    def tile(self) -> str:
        return f'#films button[title="{self.path.name}"]'


@pytest.fixture(scope="module")
def large_address(start: Callable[..., httpx.Client]) -> str:
    return str(start(engine=OnnxEngine(shipped(), threads=1)).base_url)


@pytest.fixture(scope="module")
def large(
    films_root: Path, large_address: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Large, Large]:
    """A frontal film, whose verdict is ok, and a lateral one, which is refused."""
    folder = tmp_path_factory.mktemp("large")
    frontal = next(iter(sorted(films_root.glob("shenzhen_montgomery/**/CHNCXR_0001_0*.png"))))
    lateral = films_root / "negatives" / "covid-19-pneumonia-14-L.jpg"
    sources = {"frontal.jpg": (frontal, (3000, 3100)), "lateral.jpg": (lateral, (2600, 3500))}
    made = [made_large(folder / name, *of, large_address) for name, of in sources.items()]
    assert [film.verdict for film in made] == ["OK", "Refused"]
    return made[0], made[1]


def made_large(path: Path, source: Path, size: tuple[int, int], address: str) -> Large:
    with Image.open(source) as film:
        film.convert("L").resize(size).save(path, quality=90)
    answer = httpx.post(f"{address}/v1/segmentations", content=path.read_bytes(), timeout=60)
    lungs = answer.json()["lungs"]["field"]
    doubts = "".join(doubt["text"] for doubt in lungs["quality"]["doubts"])
    area = f"{lungs['measurements']['lungs_area_px']:,}"
    return Large(path, size, SIGNS[lungs["quality"]["verdict"]], doubts, area)


@pytest.fixture
def watched(
    open_page: Callable[..., Any], large_address: str, request: pytest.FixtureRequest
) -> Iterator[Page]:
    with open_page(large_address, request.node.name) as page:
        page.set_viewport_size({"width": 1366, "height": 650})
        yield page


def states(page: Page) -> list[dict[str, Any]]:
    """The distinct states so far."""
    seen: list[dict[str, Any]] = page.evaluate("() => [...window.states].map(JSON.parse)")
    return seen


def check(page: Page, films: tuple[Large, ...], failures: dict[str, str] | None = None) -> None:
    """Check that every state belonged to the film whose name it had, or was empty."""
    of = {film.path.name: film for film in films}
    for state in states(page):
        if state["name"] == "":
            continue  # no film was selected
        film = of.get(state["name"])
        if film and (state["result"] or state["picture"] or state["downloads"]):
            width, height = film.size
            assert state["facts"].startswith(f"{width} × {height} px"), state
            assert state["size"] == f"{width} x {height}", state
            assert (state["verdict"], state["doubts"]) == (film.verdict, film.doubts), state
            assert state["area"] == ("" if state["veil"] else film.area), state
            assert state["veil"] == (film.verdict == "Refused"), state
            assert state["label"].startswith(film.path.name), state
            assert not state["wait"], state
            assert not state["failure"], state
        else:
            assert not any(state[part] for part in ("result", "picture", "downloads")), state
            assert state["verdict"] + state["doubts"] + state["area"] == "", state
            assert not state["veil"], state
            assert state["failure"] in ("", (failures or {}).get(state["name"])), state


def size_of(picture: Path) -> tuple[int, int]:
    with Image.open(picture) as opened:
        return opened.size


def on_show(page: Page, film: Large) -> None:
    expect(page.locator("#name")).to_have_text(film.path.name)
    expect(page.locator("#verdict-name")).to_have_text(film.verdict)
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#screen")).to_have_attribute("data-shown", f"{film.path.name} field")


def test_all_that_is_shown_is_of_one_film(
    watched: Page, large: tuple[Large, Large], give: Callable[..., None]
) -> None:
    """The films are clicked in turn while they are decoded, the first one slowest."""
    frontal, lateral = large
    watched.evaluate(WATCH)
    watched.evaluate(SLOW, [6000, 4000])
    watched.set_input_files("#files", [frontal.path, lateral.path])
    for film in large:
        expect(watched.locator(film.tile)).to_have_attribute("data-status", "done")
    for chosen in (lateral, frontal, lateral, frontal, lateral):
        watched.click(chosen.tile)
        watched.wait_for_timeout(150)
        expect(watched.locator("#name")).to_have_text(chosen.path.name)
    on_show(watched, lateral)
    watched.wait_for_timeout(6000)  # the slowest one is decoded by now
    on_show(watched, lateral)
    for chosen in (frontal, lateral, frontal):  # both are decoded: they are drawn at once
        watched.click(chosen.tile)
        on_show(watched, chosen)
    check(watched, large)
    seen = states(watched)
    for film in large:  # both were seen, shown and loading
        of_film = [state for state in seen if state["name"] == film.path.name]
        assert {state["result"] for state in of_film} == {True, False}
        assert any(state["facts"] == "Loading" for state in of_film)


def test_downloads_are_of_the_film_on_the_screen(
    watched: Page, large: tuple[Large, Large], give: Callable[..., None]
) -> None:
    """A requested overlay is saved under its own film's name, whichever film is selected then."""
    frontal, lateral = large
    give(watched, frontal.path, lateral.path)
    on_show(watched, frontal)
    watched.evaluate(SLOW, [300])
    with watched.expect_download() as download:
        watched.click('[data-save="overlay"]')
        watched.click(lateral.tile)
        expect(
            watched.locator("#downloads")
        ).to_be_hidden()  # the result is of another film than the name
    assert download.value.suggested_filename == "frontal_overlay.png"
    assert size_of(download.value.path())[0] == frontal.size[0]
    on_show(watched, lateral)
    expect(watched.locator('[data-save="overlay"]')).to_be_enabled()
    with watched.expect_download() as download:
        watched.click('[data-save="mask"]')
    assert download.value.suggested_filename == "lateral_mask.png"
    assert size_of(download.value.path()) == lateral.size


def test_a_late_answer_does_not_replace_the_film_on_the_screen(
    watched: Page, large: tuple[Large, Large]
) -> None:
    """The answer for the first film comes last, while the other film is shown."""
    frontal, lateral = large
    held: list[Route] = []
    first = threading.Event()

    def hold_the_first(route: Route) -> None:
        if first.is_set():
            route.continue_()
        else:
            first.set()
            held.append(route)

    watched.route("**/v1/segmentations*", hold_the_first)
    watched.evaluate(WATCH)
    watched.set_input_files("#files", [frontal.path])
    expect(watched.locator("#name")).to_have_text("frontal.jpg")
    while not held:
        watched.wait_for_timeout(10)
    watched.set_input_files("#files", [lateral.path])
    on_show(watched, lateral)
    held[0].continue_()
    expect(watched.locator(frontal.tile)).to_have_attribute("data-status", "done")
    watched.wait_for_timeout(500)
    on_show(watched, lateral)
    watched.click(frontal.tile)
    on_show(watched, frontal)
    check(watched, large)


def test_a_failed_film_shows_its_reason_and_nothing_of_the_previous_film(
    watched: Page, large: tuple[Large, Large], give: Callable[..., None], tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no film")
    frontal = large[0]
    watched.evaluate(WATCH)
    give(watched, frontal.path, text)
    on_show(watched, frontal)
    watched.click('#films button[title="notes.txt"]')
    expect(watched.locator("#name")).to_have_text("notes.txt")
    expect(watched.locator("#failure-text")).to_contain_text("This is a text file")
    why = watched.locator("#failure-text").text_content() or ""
    watched.click(frontal.tile)
    on_show(watched, frontal)
    expect(watched.locator("#failure-text")).to_have_text("")
    check(watched, large, {"notes.txt": why})


def test_a_picture_that_cannot_be_drawn_has_a_message(
    watched: Page, large: tuple[Large, Large], give: Callable[..., None]
) -> None:
    frontal, lateral = large
    give(watched, frontal.path, lateral.path)
    on_show(watched, frontal)
    watched.evaluate(LOST)
    watched.click(lateral.tile)
    expect(watched.locator("#failure-title")).to_have_text("The picture cannot be shown")
    expect(watched.locator("#name")).to_have_text("lateral.jpg")
    expect(watched.locator("#result")).to_be_hidden()
    watched.evaluate("() => window.mend()")
    watched.click(lateral.tile)  # as the message advises
    on_show(watched, lateral)


def test_keys_do_not_act_on_a_film_that_is_not_shown_yet(
    watched: Page, large: tuple[Large, Large], give: Callable[..., None]
) -> None:
    """L would show the outlines of a refused film, so it needs a film on the screen."""
    frontal, lateral = large
    give(watched, frontal.path, lateral.path)
    on_show(watched, frontal)
    watched.evaluate(SLOW, [800])
    watched.evaluate(WATCH)
    watched.click(lateral.tile)
    for key in ("l", "l", "o", "d", "d", "i", "0", "+"):
        watched.keyboard.press(key)
    expect(watched.locator("#name")).to_have_text("lateral.jpg")
    on_show(watched, lateral)
    expect(watched.locator("#veil")).to_be_visible()
    check(watched, large)
