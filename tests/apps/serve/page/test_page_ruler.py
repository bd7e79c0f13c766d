"""The ruler on the page: lengths in px and in mm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Page, expect

Give = Callable[..., None]


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """The place on the page of a point of the film."""
    position = (page.locator("#film").get_attribute("data-position") or "").split()
    box = page.locator("#screen").bounding_box()
    assert box is not None
    left, top, scale = (float(part) for part in position)
    return box["x"] + left + scale * x, box["y"] + top + scale * y


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*place(page, *start))
    page.mouse.down()
    page.mouse.move(*place(page, *end), steps=3)
    page.mouse.up()


def length(page: Page) -> Any:
    return expect(page.locator("#screen"))


@pytest.fixture
def measuring(page: Page, films: Path, give: Give) -> Page:
    """`a.png`, 128 x 160 px without a spacing, and the ruler."""
    give(page, films / "a.png")
    expect(page.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    page.wait_for_timeout(300)
    page.keyboard.press("r")
    expect(page.get_by_label("Ruler")).to_be_checked()
    return page


def test_a_drag_measures_px_and_its_ends_are_moved(measuring: Page) -> None:
    """The triangles 30, 40, 50 and 60, 80, 100."""
    drag(measuring, (30, 40), (60, 80))
    length(measuring).to_have_attribute("data-length", "50.0 px")
    expect(measuring.locator("#status")).to_have_text("Length 50.0 px")
    measuring.keyboard.press("+")  # the line stays on the film
    length(measuring).to_have_attribute("data-length", "50.0 px")
    drag(measuring, (60, 80), (90, 120))
    length(measuring).to_have_attribute("data-length", "100.0 px")
    measuring.mouse.click(*place(measuring, 110, 100))
    length(measuring).to_have_attribute("data-length", "")


def test_another_film_has_no_line_and_a_drag_moves_the_film_again(
    measuring: Page, films: Path, give: Give
) -> None:
    drag(measuring, (30, 40), (60, 80))
    give(measuring, films / "b.png")
    expect(measuring.locator("#screen")).to_have_attribute("data-shown", "b.png field")
    length(measuring).to_have_attribute("data-length", "")
    measuring.wait_for_timeout(300)
    measuring.keyboard.press("r")
    before = measuring.locator("#film").get_attribute("data-position")
    drag(measuring, (30, 40), (60, 80))
    length(measuring).to_have_attribute("data-length", "")
    expect(measuring.locator("#film")).not_to_have_attribute("data-position", before or "")


def test_a_film_with_a_spacing_is_measured_in_mm(
    page: Page, films_root: Path, tmp_path: Path, give: Give
) -> None:
    """Rows are 0.2 mm apart and columns 0.1 mm: 300 columns are 30 mm, and 200 rows 40 mm."""
    film = pydicom.dcmread(films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm", force=True)
    film.ImagerPixelSpacing = [0.2, 0.1]
    film.save_as(tmp_path / "film.dcm")
    give(page, tmp_path / "film.dcm")
    expect(page.locator("#result")).to_be_visible()
    page.keyboard.press("r")
    drag(page, (100, 120), (400, 320))
    shown = page.locator("#screen").get_attribute("data-length") or ""
    assert shown.endswith(" mm")
    assert float(shown[:-3]) == pytest.approx(50, abs=1)  # the mouse lies on pixels of the screen
