"""Controls of the page keep clicks and the focus while it computes; tools need a picture."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from pleura.runtime.engine import OnnxEngine

Give = Callable[..., None]

HOLD = """(job) => {
  const post = Worker.prototype.postMessage;
  const held = [];
  window.release = () => {
    Worker.prototype.postMessage = post;
    for (const send of held) send();
  };
  Worker.prototype.postMessage = function (message, ...more) {
    if (message.job === job) held.push(() => post.call(this, message, ...more));
    else post.call(this, message, ...more);
  };
}"""
"""Holds the calls of one job of the worker until `release()`."""


class Held:
    """Requests of a page that wait until `go`."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.routes = page, list[Route]()
        page.route(address, lambda route: self.routes.append(route))

    def wait(self, count: int = 1) -> None:
        """Wait until as many requests were made."""
        deadline = time.monotonic() + 30
        while len(self.routes) < count and time.monotonic() < deadline:
            self.page.wait_for_timeout(10)
        assert len(self.routes) == count

    def go(self) -> None:
        self.wait()
        for route in self.routes:
            route.continue_()


def press(control: Locator, key: str = "Enter") -> None:
    control.focus()
    control.page.keyboard.press(key)


@pytest.fixture
def opened(five: Page, films: Path, give: Give) -> Page:
    """The page with `a.png`."""
    give(five, films / "a.png")
    return five


@pytest.fixture
def stroke(opened: Page) -> Held:
    """An edit of `a.png` whose measurement is held."""
    held = Held(opened, "**/v1/measurements")
    opened.keyboard.press("e")
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("Space")
    expect(opened.locator("#measures.pending")).to_be_attached()
    return held


def test_a_way_of_comparing_is_chosen_while_the_comparison_is_computed(opened: Page) -> None:
    opened.evaluate(HOLD, "compare")
    opened.keyboard.press("k")
    swipe = opened.locator('input[value="swipe"]')
    press(opened.locator('input[value="together"]'), "ArrowRight")
    expect(swipe).to_be_checked()
    expect(opened.locator("#side-right")).to_be_hidden()
    opened.keyboard.press("x")  # there is nothing to swap yet
    expect(swipe).to_be_checked()
    opened.evaluate("() => window.release()")
    expect(opened.locator("#side-right")).to_have_text("whole")
    expect(swipe).to_be_focused()


def test_nothing_is_chosen_where_there_is_nothing_to_compare_with(
    page: Page, films: Path, give: Give
) -> None:
    give(page, films / "a.png")
    page.keyboard.press("k")
    expect(page.locator("#compare-with")).to_have_text("no other mask yet")
    expect(page.locator('input[value="swipe"]')).to_be_disabled()


def test_the_sources_of_a_comparison_are_those_of_the_film_on_the_screen(
    open_page: Any, start: Any, refusing_weights: Path, films: Path, give: Give
) -> None:
    """A refused film whose outlines are hidden has no reference, unlike the film before it."""
    Image.new("L", (128, 160), 255).save(films.parent / "a_mask.png")
    engine = OnnxEngine(refusing_weights.read_bytes(), threads=1)
    with open_page(str(start(engine=engine).base_url), "sources") as page:
        give(page, films / "a.png", films / "b.png")
        page.keyboard.press("k")
        page.set_input_files("#masks", films.parent / "a_mask.png")
        expect(page.locator("#compare-with")).to_have_value("reference")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#veil")).to_be_visible()
        expect(page.locator("#compare-with option")).to_have_text(["whole"])


def test_tools_need_a_film_with_a_picture(opened: Page, films: Path, give: Give) -> None:
    opened.keyboard.press("k")
    give(opened, films / "notes.txt")
    tools = opened.locator(":is(#tools, #compare-tools) :is(button, input, select)")
    compare = opened.locator('[data-do="compare"]')
    expect(opened.locator("#failure")).to_be_visible()
    for tool in tools.all():
        expect(tool).to_be_disabled()
    opened.keyboard.press("ArrowLeft")
    expect(opened.locator("#result")).to_be_visible()
    for tool in tools.all():
        expect(tool).to_be_enabled()
    press(compare)
    expect(compare).to_be_focused()
    opened.keyboard.press("ArrowRight")
    expect(opened.locator("#failure")).to_be_visible()
    expect(opened.locator("#screen")).to_be_focused()  # the disabled button gives it away
    for tool in tools.all():
        expect(tool).to_be_disabled()


def test_the_mirroring_of_a_film_that_failed_can_be_taken_back(opened: Page) -> None:
    opened.route("**/v1/segmentations*", lambda route: route.abort(), times=1)
    press(opened.locator("#flip"))
    expect(opened.locator("#failure")).to_be_visible()
    press(opened.locator("#flip"))
    expect(opened.locator("#result")).to_be_visible()
    expect(opened.locator("#flip")).to_have_attribute("aria-pressed", "false")


def test_a_control_keeps_the_focus_while_its_request_is_under_way(opened: Page) -> None:
    held = Held(opened, "**/v1/segmentations*")
    overlay, flip = opened.locator('[data-save="overlay"]'), opened.locator("#flip")
    with opened.expect_download() as download:
        press(overlay)
        expect(overlay).to_be_disabled()
        opened.keyboard.press("Enter")  # a second time: it is under way already
        expect(overlay).to_be_focused()
        held.go()
    assert download.value.suggested_filename == "a_overlay.png"
    expect(overlay).to_be_enabled()
    assert len(held.routes) == 1
    press(flip)
    expect(opened.locator("#wait")).to_be_visible()
    expect(flip).to_be_disabled()
    expect(flip).to_be_focused()
    held.wait(2)
    held.routes[1].continue_()
    expect(opened.locator("#result")).to_be_visible()
    expect(flip).to_be_focused()


def test_a_download_that_is_asked_for_during_a_measurement_has_its_numbers(
    opened: Page, stroke: Held
) -> None:
    with opened.expect_download() as download:
        opened.click('[data-save="csv"]')
        stroke.go()
    area = opened.locator("#areas tr").filter(has_text="Area, px").locator("td").first
    row = next(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    assert f"{int(row['right_area_px']):,}" == area.inner_text()
    assert "edited by hand" in row["notes"]


def test_a_decision_during_a_measurement_counts(opened: Page, stroke: Held) -> None:
    opened.click("#accept")
    stroke.go()
    expect(opened.locator("#accept")).to_have_attribute("aria-pressed", "true")


def test_a_decision_without_a_measurement_is_refused_with_a_message(
    opened: Page, stroke: Held
) -> None:
    opened.click("#accept")
    stroke.wait()
    stroke.routes[0].abort()
    expect(opened.locator("#status")).to_contain_text("are not measured")
    expect(opened.locator("#accept")).to_have_attribute("aria-pressed", "false")


def test_a_button_that_hides_itself_gives_the_focus_to_the_film(
    opened: Page, films: Path, give: Give
) -> None:
    """Cancel hides itself when the worker has stopped the request; Retry at once."""
    held = Held(opened, "**/v1/segmentations*")
    opened.set_input_files("#files", films / "b.png")
    press(opened.locator("#cancel"))
    expect(opened.locator("#failure-title")).to_have_text("Cancelled")
    expect(opened.locator("#screen")).to_be_focused()
    opened.unroute("**/v1/segmentations*")
    press(opened.locator("#retry"))
    expect(opened.locator("#screen")).to_be_focused()
    expect(opened.locator("#result")).to_be_visible()
    assert len(held.routes) == 1
