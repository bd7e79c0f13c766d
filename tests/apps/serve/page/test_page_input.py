"""The web page with mouse and keyboard: dropped films, opacity, dragging, progress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect
from tests.apps.serve.page.canvas import pixels

Give = Callable[..., None]


def test_films_can_be_dropped(page: Page, films: Path) -> None:
    body = list((films / "a.png").read_bytes())
    page.evaluate(
        """(body) => {
          const carried = new DataTransfer();
          carried.items.add(new File([Uint8Array.from(body)], "dropped.png"));
          document.body.dispatchEvent(
            new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
        }""",
        body,
    )
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#name")).to_have_text("dropped.png")


def test_the_page_works_with_the_keyboard_alone(page: Page, films: Path) -> None:
    with page.expect_file_chooser(timeout=60_000) as chosen:
        page.keyboard.press("Tab")
        expect(page.locator('#welcome [data-do="choose"]')).to_be_focused()
        page.keyboard.press("Enter")
    chosen.value.set_files([films / "a.png", films / "b.png"])
    expect(page.locator('#films button[data-status="done"]')).to_have_count(2)
    expect(page.locator("#status")).to_contain_text("lungs found")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#screen")).to_have_attribute("data-shown", "b.png field")
    before = page.locator("#readout").text_content() or ""
    page.keyboard.press("+")
    expect(page.locator("#readout")).not_to_have_text(before)
    page.keyboard.press("0")
    expect(page.locator("#readout")).to_have_text(before)
    grey = pixels(page, "film")
    page.keyboard.press("0")
    page.keyboard.press("i")
    expect(page.locator('[data-do="invert"]')).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(1000)  # the worker makes the picture
    inverted = pixels(page, "film")
    assert np.abs(inverted[..., :3].astype(int) - (255 - grey[..., :3].astype(int))).max() <= 1
    page.keyboard.press("l")
    expect(page.locator("#overlay")).to_have_css("opacity", "0")
    page.keyboard.press("o")
    expect(page.locator('input[value="outline"]')).to_be_checked()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#name")).to_have_text("a.png")


@pytest.mark.parametrize("percent", [40, 100])
def test_the_slider_sets_the_opacity_of_the_fill(
    five: Page, films: Path, give: Give, percent: int
) -> None:
    """The middle of the right lung of `a.png` is row 80, column 30; 100 % is opaque."""
    give(five, films / "a.png")
    expect(five.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    five.locator("#fill").fill(str(percent))
    assert pixels(five, "overlay")[80, 30, 3] == 255 * percent / 100


def test_progress_is_shown_while_the_network_works(
    open_page: Callable[..., Any], start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    with open_page(str(start(engine=halting).base_url), "progress") as page:
        page.set_input_files("#files", [films / "a.png"])
        expect(page.locator("#wait-text")).to_have_text("Looking for the lungs…")
        expect(page.locator("#wait-bar")).to_be_visible()
        expect(page.locator("#result")).to_be_hidden()
        halting.go.set()
        expect(page.locator("#result")).to_be_visible()
        expect(page.locator("#wait")).to_be_hidden()


def test_dragging_moves_or_windows(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png")

    def drag() -> None:
        box = page.locator("#screen").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.down()
        page.mouse.move(box["x"] + 160, box["y"] + 200)
        page.mouse.up()

    page.evaluate("() => { document.activeElement.blur(); }")
    expect(page.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    where, look = state_of_view(page)
    drag()
    moved, same = state_of_view(page)
    assert moved != where
    assert same == look
    page.get_by_text("Window", exact=True).click()
    drag()  # 40 px to the left: the window is a tenth of the usual one narrower
    page.wait_for_timeout(300)
    still, changed = state_of_view(page)
    assert still == moved
    width, narrower = (float(text.split("window ")[1].split(",")[0]) for text in (look, changed))
    assert narrower == pytest.approx(0.9 * width, rel=1e-3)
    expect(page.locator("#window")).to_have_value("")
    page.locator("#window").select_option("usual")
    expect(page.locator("#readout")).to_have_text(look)


def state_of_view(page: Page) -> tuple[str, str]:
    """Where the film lies on the screen, and the text of zoom, window and level."""
    page.wait_for_timeout(200)  # a frame
    return (
        page.locator("#film").get_attribute("data-position") or "",
        page.locator("#readout").text_content() or "",
    )


def test_a_narrow_dark_window_needs_no_sideways_scrolling(
    page: Page, films: Path, give: Give
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    give(page, films / "a.png", films / "b.png", films / "deep/a.png", films / "notes.txt")
    wide = "() => document.documentElement.scrollWidth - window.innerWidth"
    assert page.evaluate(wide) <= 0
    box = page.locator("#screen").bounding_box()
    assert box is not None
    assert box["width"] > 320
