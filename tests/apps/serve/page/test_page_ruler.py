"""Measuring by hand on the page: the ruler, in px and in mm, and the cardiothoracic ratio."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Page, expect

Give = Callable[..., None]
Settle = Callable[[Page], None]


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
def measuring(page: Page, films: Path, give: Give, settle: Settle) -> Page:
    """`a.png`, 128 x 160 px without a spacing, and the ruler."""
    give(page, films / "a.png")
    expect(page.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    settle(page)
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
    measuring: Page, films: Path, give: Give, settle: Settle
) -> None:
    drag(measuring, (30, 40), (60, 80))
    give(measuring, films / "b.png")
    expect(measuring.locator("#screen")).to_have_attribute("data-shown", "b.png field")
    length(measuring).to_have_attribute("data-length", "")
    settle(measuring)
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


def test_the_keyboard_alone_measures(measuring: Page) -> None:
    """The shorter side is 128 px, so a step is 1 px; the first end begins in the middle."""
    for _ in range(3):
        measuring.keyboard.press("ArrowRight")
    for _ in range(4):
        measuring.keyboard.press("ArrowDown")
    length(measuring).to_have_attribute("data-length", "5.0 px")
    expect(measuring.locator("#status")).to_have_text("Length 5.0 px")
    measuring.keyboard.press("Space")
    expect(measuring.locator("#status")).to_have_text("The first end. Length 5.0 px")
    for _ in range(3):
        measuring.keyboard.press("Shift+ArrowLeft")
    for _ in range(4):
        measuring.keyboard.press("ArrowUp")
    length(measuring).to_have_attribute("data-length", "10.0 px")
    measuring.keyboard.press("Escape")
    expect(measuring.get_by_label("Move")).to_be_checked()


RATIO = "Cardiothoracic ratio"


def ratio(page: Page) -> Any:
    return expect(page.locator("#ratios div").filter(has_text=RATIO))


@pytest.fixture
def with_ratio(five: Page, films: Path, give: Give, settle: Settle) -> Page:
    """`a.png`: the heart is 40 px wide, columns 52 to 92; the chest 96 px, columns 16 to 112."""
    give(five, films / "a.png")
    ratio(five).to_have_text(f"{RATIO}0.42")
    settle(five)
    five.keyboard.press("h")
    expect(five.get_by_label("CTR")).to_be_checked()
    return five


def saved(page: Page, what: str) -> str:
    with page.expect_download() as download:
        page.click(f'[data-save="{what}"]')
    return Path(download.value.path()).read_text()


def test_the_ends_of_the_widths_are_dragged(with_ratio: Page, axe_violations: Any) -> None:
    """The heart lies in rows 60 to 100; from column 44 to 92 it is 48 px wide: 48/96."""
    drag(with_ratio, (52, 80.5), (44, 80.5))
    ratio(with_ratio).to_have_text(f"{RATIO}, by hand0.50")
    expect(with_ratio.locator("#status")).to_contain_text("Cardiothoracic ratio 0.50")
    assert axe_violations(with_ratio) == []
    result = json.loads(saved(with_ratio, "json"))["lungs"]["field"]
    assert result["measurements"]["cardiothoracic_ratio"] == 0.5
    assert result["widths"]["heart"] == {"row": 80, "left": 44, "right": 92}
    assert "cardiothoracic ratio measured by hand" in result["notes"]
    row = next(csv.DictReader(saved(with_ratio, "csv").splitlines()))
    assert float(row["cardiothoracic_ratio"]) == 0.5
    assert row["notes"].endswith("cardiothoracic ratio measured by hand")
    with_ratio.keyboard.press("d")
    ratio(with_ratio).to_have_text(f"{RATIO}0.42")
    with_ratio.keyboard.press("d")
    with_ratio.get_by_role("button", name="Ratio of the program").click()
    ratio(with_ratio).to_have_text(f"{RATIO}0.42")
    assert "by hand" not in saved(with_ratio, "csv")


def test_the_ends_of_the_widths_are_moved_with_the_keyboard_and_stay_after_a_reload(
    with_ratio: Page, settle: Settle
) -> None:
    """The fourth end is the right one of the chest: 16 to 116 is 100 px, and the ratio 0.40."""
    for _ in range(3):
        with_ratio.keyboard.press("Space")
    for _ in range(4):
        with_ratio.keyboard.press("ArrowRight")
    ratio(with_ratio).to_have_text(f"{RATIO}, by hand0.40")
    settle(with_ratio)
    with_ratio.on("dialog", lambda dialog: dialog.accept())
    with_ratio.reload()
    ratio(with_ratio).to_have_text(f"{RATIO}, by hand0.40")


def test_a_drag_beside_the_ends_moves_the_film(with_ratio: Page) -> None:
    before = with_ratio.locator("#film").get_attribute("data-position")
    drag(with_ratio, (64, 140), (64, 120))
    expect(with_ratio.locator("#film")).not_to_have_attribute("data-position", before or "")
    ratio(with_ratio).to_have_text(f"{RATIO}0.42")


def test_a_film_without_a_ratio_is_measured_by_hand(page: Page, films: Path, give: Give) -> None:
    """The weights have no heart; the lines begin at shares of the film's width of 128 px."""
    give(page, films / "a.png")
    expect(page.locator("#ratios")).not_to_contain_text(RATIO)
    page.keyboard.press("h")
    expect(page.locator("#ratios")).not_to_contain_text(RATIO)
    page.keyboard.press("ArrowLeft")
    ratio(page).to_have_text(f"{RATIO}, by hand{(79 - 48) / (109 - 19):.2f}")
