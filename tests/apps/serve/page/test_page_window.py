"""Window and level on the film's own 16 bits, and the page behind a path prefix."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from pleura.apps.serve.service import Service
from pleura.runtime.engine import Engine


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A film of 16 bits whose values run from 1000 at the left to 1000 + 127 x 40 = 6080."""
    values = np.broadcast_to(1000 + 40 * np.arange(128), (160, 128))
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    return tmp_path / "deep.png"


def shown(page: Page) -> np.ndarray[Any, Any]:
    """One row of the film on the screen, a pixel of the film on each pixel: (128,) grey."""
    page.wait_for_timeout(800)  # the worker makes the picture
    page.keyboard.press("1")
    page.wait_for_timeout(200)
    position = page.locator("#film").get_attribute("data-position") or ""
    left, top = (int(part) for part in position.split()[:2])
    address: str = page.evaluate("() => document.getElementById('film').toDataURL()")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    return picture[top + 80, left : left + 128, 0].astype(float)


def window_and_level(page: Page) -> tuple[float, float]:
    text = (page.locator("#readout").text_content() or "").replace(",", "")
    numbers = re.search(r"window ([\d.]+) level ([\d.]+)", text)
    assert numbers is not None
    return float(numbers[1]), float(numbers[2])


def test_window_and_level_are_one_linear_map_of_the_values(
    page: Page, deep: Path, give: Callable[..., None]
) -> None:
    """Grey = 255 x (value - (level - window / 2)) / window, also for a window of over 2 levels."""
    give(page, deep)
    expect(page.locator("#screen")).to_have_attribute("data-shown", "deep.png field")
    page.locator("#window").select_option("full")
    assert window_and_level(page) == (5080, 3540)
    values = 1000 + 40 * np.arange(128)
    assert np.abs(shown(page) - 255 * (values - 1000) / 5080).max() <= 0.51
    for key, times in (("]", 30), (",", 12), ("[", 40)):
        for _ in range(times):
            page.keyboard.press(key)
        window, level = window_and_level(page)
        expected = 255 * np.clip((values - (level - window / 2)) / window, 0, 1)
        # the readout is rounded to 5 digits, and the grey value to whole numbers
        assert np.abs(shown(page) - expected).max() <= 0.6
        if key == ",":
            assert window > 2 * level


def test_the_value_under_the_cursor_is_the_films(
    page: Page, deep: Path, give: Callable[..., None]
) -> None:
    """Column 100 has the value 1000 + 40 x 100 = 5000."""
    give(page, deep)
    shown(page)  # at native size
    position = (page.locator("#film").get_attribute("data-position") or "").split()
    box = page.locator("#screen").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + int(position[0]) + 100.5, box["y"] + int(position[1]) + 20.5)
    expect(page.locator("#value")).to_have_text("x 100, y 20: 5,000")
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    expect(page.locator("#value")).to_have_text("")


PAIRS = """() => {
  const text = (id) => document.getElementById(id).textContent;
  window.pairs = [];
  const note = () => window.pairs.push(`${text("name")} ${text("value")}`);
  const all = { subtree: true, childList: true, characterData: true };
  new MutationObserver(note).observe(document.body, all);
}"""
"""Records the name of the film and the value under the cursor at each change of the page."""


def test_the_value_under_a_cursor_that_rests_is_of_the_film_on_the_screen(
    page: Page, deep: Path, tmp_path: Path, give: Callable[..., None]
) -> None:
    Image.fromarray(np.tile(np.arange(128, dtype=np.uint8), (160, 1))).save(tmp_path / "flat.png")
    give(page, deep, tmp_path / "flat.png")
    shown(page)
    position = (page.locator("#film").get_attribute("data-position") or "").split()
    box = page.locator("#screen").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + int(position[0]) + 100.5, box["y"] + int(position[1]) + 20.5)
    value = page.locator("#value")
    expect(value).to_have_text("x 100, y 20: 5,000")
    page.evaluate(PAIRS)
    page.keyboard.press("ArrowRight")  # the film fits the screen: it is larger there
    expect(page.locator("#screen")).to_have_attribute("data-shown", "flat.png field")
    expect(value).to_have_text(re.compile(r"^x (\d+), y \d+: \1$"))
    assert "flat.png x 100, y 20: 5,000" not in page.evaluate("() => window.pairs")
    before = value.inner_text()
    page.keyboard.press("+")
    expect(value).not_to_have_text(before)
    expect(value).to_have_text(re.compile(r"^x (\d+), y \d+: \1$"))


@pytest.mark.parametrize("prefix", ["/pleura", "/a/b"])
def test_the_page_works_behind_a_path_prefix(
    browser: Browser, engine: Engine, running: Callable[..., Any], films: Path, prefix: str
) -> None:
    with running(Service(engine, root_path=prefix)) as address:
        page = browser.new_page()
        page.goto(f"{address}{prefix}/")
        page.set_input_files("#files", [films / "a.png"])
        expect(page.locator("#result")).to_be_visible()
        server = page.evaluate("async () => (await (await fetch('openapi.json')).json()).servers")
        assert server == [{"url": prefix}]
        page.close()
