"""Editing the outlines by hand on the page: pen, keyboard, undo, measurements and saved files."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

Mask = NDArray[np.bool_]

ROWS, COLUMNS = np.mgrid[:160, :128] + 0.5
"""The middles of the pixels of `a.png`."""

RIGHT: Mask = (ROWS > 40) & (ROWS < 120) & (COLUMNS > 16) & (COLUMNS < 48)
"""The right lung that the weights of `five` give for `a.png`: 80 x 32 = 2,560 px."""

LEFT: Mask = (ROWS > 40) & (ROWS < 120) & (COLUMNS > 80) & (COLUMNS < 112)


def disc(x: float, y: float, radius: float) -> Mask:
    inside: Mask = (COLUMNS - x) ** 2 + (ROWS - y) ** 2 <= radius**2
    return inside


def saved(page: Page, what: str) -> bytes:
    expect(page.locator(f'[data-save="{what}"]')).to_be_enabled()
    with page.expect_download() as download:
        page.click(f'[data-save="{what}"]')
    return Path(download.value.path()).read_bytes()


def area(page: Page, column: int) -> Any:
    """The cell of the area of the right (0) or the left lung (1)."""
    return page.locator("#areas tr").filter(has_text="Area, px").locator("td").nth(column)


def shot(page: Page, name: str) -> None:
    """A picture for people to look at, while something is under way."""
    if folder := os.environ.get("PLEURA_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture
def editing(five: Page, films: Path, give: Callable[..., None]) -> Page:
    """`a.png` at native size, with a brush of radius 6 for the right lung."""
    give(five, films / "a.png")
    expect(five.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    expect(area(five, 0)).to_have_text("2,560")
    five.keyboard.press("1")
    five.keyboard.press("e")
    expect(five.locator("#edit-tools")).to_be_visible()
    five.locator("#radius").fill("6")
    five.locator("#radius").dispatch_event("change")
    five.wait_for_timeout(200)
    return five


def point(page: Page, x: float, y: float) -> tuple[float, float]:
    """The place on the page of a point of the film."""
    position = (page.locator("#film").get_attribute("data-position") or "").split()
    box = page.locator("#screen").bounding_box()
    assert box is not None
    return box["x"] + int(position[0]) + x, box["y"] + int(position[1]) + y


def test_brush_eraser_undo_and_redo(editing: Page) -> None:
    editing.mouse.click(*point(editing, 30, 30))
    brushed = RIGHT | disc(30, 30, 6)
    expect(area(editing, 0)).to_have_text(f"{brushed.sum():,}")
    editing.keyboard.press("x")
    expect(editing.locator('input[value="eraser"]')).to_be_checked()
    editing.mouse.click(*point(editing, 30, 80))
    erased = brushed & ~disc(30, 80, 6)
    expect(area(editing, 0)).to_have_text(f"{erased.sum():,}")
    editing.keyboard.press("Control+z")
    expect(area(editing, 0)).to_have_text(f"{brushed.sum():,}")
    editing.keyboard.press("Control+z")
    expect(area(editing, 0)).to_have_text("2,560")
    expect(editing.locator("#edited")).to_be_hidden()
    editing.keyboard.press("Control+Shift+z")
    expect(area(editing, 0)).to_have_text(f"{brushed.sum():,}")
    expect(editing.locator("#edited")).to_be_visible()


def test_a_stroke_of_one_lung_takes_the_pixels_of_the_other(editing: Page) -> None:
    editing.mouse.move(*point(editing, 70, 80))
    editing.mouse.down()
    editing.mouse.move(*point(editing, 90, 80))
    editing.mouse.up()
    between = (COLUMNS >= 70) & (COLUMNS <= 90) & (np.abs(ROWS - 80) <= 6)
    stroke = between | disc(70, 80, 6) | disc(90, 80, 6)
    expect(area(editing, 0)).to_have_text(f"{(RIGHT | stroke).sum():,}")
    expect(area(editing, 1)).to_have_text(f"{(LEFT & ~stroke).sum():,}")


def test_saved_files_have_the_edited_masks_and_say_so(editing: Page) -> None:
    editing.locator("#editor").fill("A. Reader")
    editing.mouse.click(*point(editing, 30, 30))
    expected = RIGHT | disc(30, 30, 6)
    expect(area(editing, 0)).to_have_text(f"{expected.sum():,}")
    mask = np.asarray(Image.open(io.BytesIO(saved(editing, "mask")))) > 0
    assert np.array_equal(mask, expected | LEFT)
    labels = np.asarray(Image.open(io.BytesIO(saved(editing, "labels"))))
    assert np.array_equal(labels == 1, expected)
    result = json.loads(saved(editing, "json"))
    assert result["provenance"]["edited"].startswith("edited by hand by A. Reader at 20")
    measurements = result["lungs"]["field"]["measurements"]
    assert measurements["right_area_px"] == expected.sum()
    row = next(csv.DictReader(saved(editing, "csv").decode().splitlines()))
    assert int(row["right_area_px"]) == expected.sum()
    assert row["right_box"] == "24 16 120 48"
    assert row["notes"] == "edited by hand"


def test_the_keyboard_alone_edits(editing: Page) -> None:
    """The cursor begins in the film's middle, (64, 80); a step is a tenth of the brush, 1.2 px."""
    editing.locator("#screen").focus()
    editing.keyboard.press("ArrowLeft")
    editing.keyboard.press("ArrowUp")
    editing.keyboard.press("Space")
    expected = RIGHT | disc(62.8, 78.8, 6)
    expect(area(editing, 0)).to_have_text(f"{expected.sum():,}")
    editing.keyboard.press("Escape")
    expect(editing.locator("#edit-tools")).to_be_hidden()


def pulled(dx: float) -> Mask:
    """The right lung after a pull of its left edge, columns 16, by `dx` px at y = 80.

    The brush of 6 px pulls within 24 px. The corner of each pixel at the distance d follows by
    (1 - (d / 24)^2)^2; between two corners the edge is straight.
    """
    corners = np.arange(161)
    shares = np.clip(1 - ((corners - 80) / 24) ** 2, 0, None) ** 2
    edge = 16 + dx * (shares[:-1] + shares[1:]) / 2
    mask: Mask = (ROWS > 40) & (ROWS < 120) & (edge[:, None] <= COLUMNS) & (COLUMNS < 48)
    return mask


def test_a_pull_moves_the_outline_and_what_is_near(editing: Page) -> None:
    editing.keyboard.press("p")
    expect(editing.locator('input[value="pull"]')).to_be_checked()
    editing.mouse.move(*point(editing, 16, 80))
    editing.mouse.down()
    editing.mouse.move(*point(editing, 12, 80))
    editing.mouse.move(*point(editing, 6, 80))
    editing.wait_for_timeout(200)
    shot(editing, "pull")
    expect(area(editing, 0)).to_have_text("2,560")
    editing.mouse.up()
    expect(area(editing, 0)).to_have_text(f"{pulled(-10).sum():,}")
    labels = np.asarray(Image.open(io.BytesIO(saved(editing, "labels"))))
    assert np.array_equal(labels == 1, pulled(-10))
    assert np.array_equal(labels == 2, LEFT)
    editing.keyboard.press("Control+z")
    expect(area(editing, 0)).to_have_text("2,560")
    editing.keyboard.press("Control+Shift+z")
    expect(area(editing, 0)).to_have_text(f"{pulled(-10).sum():,}")


def test_a_pull_with_the_keyboard(editing: Page) -> None:
    """From the middle, (64, 80), 40 steps of 1.2 px reach the edge; 5 more pull it by 6 px."""
    editing.locator("#screen").focus()
    editing.keyboard.press("p")
    for _ in range(40):
        editing.keyboard.press("ArrowLeft")
    status = editing.locator("#status")
    editing.keyboard.press("Space")
    expect(status).to_contain_text("Gripped")
    editing.keyboard.press("ArrowLeft")
    editing.keyboard.press("Escape")
    expect(status).to_contain_text("as it was")
    expect(editing.locator("#edit-tools")).to_be_visible()
    editing.keyboard.press("ArrowRight")
    editing.keyboard.press("Space")
    for _ in range(5):
        editing.keyboard.press("ArrowLeft")
    editing.keyboard.press("Space")
    expect(area(editing, 0)).to_have_text(f"{pulled(-6).sum():,}")


def test_a_pull_far_from_the_outline_does_nothing(editing: Page) -> None:
    editing.keyboard.press("p")
    editing.mouse.click(*point(editing, 16, 10))
    expect(editing.locator("#status")).to_have_text("No outline of the right lung is within reach.")
    expect(editing.locator("#edited")).to_be_hidden()


def test_a_failed_measurement_is_shown_and_can_be_tried_again(
    editing: Page, axe_violations: Any
) -> None:
    """Nothing is saved with numbers that are older than the outlines."""
    editing.route("**/v1/measurements", lambda route: route.abort())
    editing.mouse.click(*point(editing, 30, 30))
    failure = editing.locator("#measure-failure")
    expect(failure).to_be_visible()
    expect(editing.locator("#edited")).to_be_visible()
    for what in ("mask", "labels", "overlay", "json", "csv"):
        expect(editing.locator(f'[data-save="{what}"]')).to_be_disabled()
    assert axe_violations(editing) == []
    editing.get_by_role("button", name="Measure again").click()
    expect(failure).to_be_visible()
    editing.unroute("**/v1/measurements")
    editing.get_by_role("button", name="Measure again").click()
    expect(area(editing, 0)).to_have_text(f"{(RIGHT | disc(30, 30, 6)).sum():,}")
    expect(failure).to_be_hidden()
    saved(editing, "csv")


def test_an_edit_by_another_definition_does_not_hide_a_failed_measurement(editing: Page) -> None:
    editing.route("**/v1/measurements", lambda route: route.abort(), times=1)
    editing.mouse.click(*point(editing, 30, 30))
    expect(editing.locator("#measure-failure")).to_be_visible()
    editing.keyboard.press("d")
    expect(editing.locator("#measure-failure")).to_be_hidden()
    editing.mouse.click(*point(editing, 30, 30))
    expect(area(editing, 0)).to_have_text(f"{(RIGHT | disc(30, 30, 6)).sum():,}")
    expect(editing.locator('[data-save="csv"]')).to_be_enabled()
    editing.keyboard.press("d")
    expect(editing.locator("#measure-failure")).to_be_visible()
    expect(editing.locator('[data-save="csv"]')).to_be_disabled()


def test_tables_of_all_films_wait_for_measurements(
    editing: Page, films: Path, give: Callable[..., None]
) -> None:
    editing.route("**/v1/measurements", lambda route: route.abort(), times=1)
    editing.mouse.click(*point(editing, 30, 30))
    expect(editing.locator("#measure-failure")).to_be_visible()
    give(editing, films / "b.png")
    editing.click("#zip")
    expect(editing.locator("#message-text")).to_contain_text("a.png are not measured yet")


def test_axe_finds_no_violations_while_editing(editing: Page, axe_violations: Any) -> None:
    assert axe_violations(editing) == []


def test_a_film_that_comes_next_is_not_edited(
    editing: Page, films: Path, give: Callable[..., None]
) -> None:
    give(editing, films / "b.png")
    expect(editing.locator("#name")).to_have_text("b.png")
    expect(editing.locator("#edit-tools")).to_be_hidden()
    expect(editing.locator("#edited")).to_be_hidden()


def test_a_dicom_segmentation_is_a_new_semiautomatic_object(
    page: Page, films_root: Path, give: Callable[..., None]
) -> None:
    give(page, films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm")
    expect(page.locator("#result")).to_be_visible()
    automatic = pydicom.dcmread(io.BytesIO(saved(page, "seg")))
    page.keyboard.press("e")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#edited")).to_be_visible()
    edited = pydicom.dcmread(io.BytesIO(saved(page, "seg")))
    assert automatic.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert {item.SegmentAlgorithmType for item in edited.SegmentSequence} == {"SEMIAUTOMATIC"}
    assert edited.SOPInstanceUID != automatic.SOPInstanceUID
    assert edited.SeriesInstanceUID != automatic.SeriesInstanceUID
    assert "edited by hand at 20" in edited.ImageComments
    assert not np.array_equal(edited.pixel_array, automatic.pixel_array)
