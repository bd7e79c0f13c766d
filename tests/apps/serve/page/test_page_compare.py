"""Comparing a result with other masks on the page: Dice, distances, swipe and blink."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from pleura.core.types import Spacing
from pleura.lab.evaluate.metrics import score

Give = Callable[..., None]
Settle = Callable[[Page], None]
Mask = NDArray[np.bool_]

NEAR, MIDDLE = [76, 141, 255], [242, 227, 76]
"""Colours of the outline: up to 1 px, and 2 to 5 px from the reference."""


def box(top: int, bottom: int, left: int, right: int, shape: tuple[int, int] = (160, 128)) -> Mask:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    return mask


RIGHT, LEFT, HEART = box(40, 120, 16, 48), box(40, 120, 80, 112), box(60, 100, 52, 92)
"""What the weights of `five` give for `a.png`."""


def save_labels(path: Path, right: Mask, left: Mask, heart: Mask | None = None) -> Path:
    labels = np.zeros(right.shape, np.uint8)
    if heart is not None:
        labels[heart] = 3
    labels[right], labels[left] = 1, 2
    Image.fromarray(labels).save(path)
    return path


def cells(page: Page) -> dict[str, list[str]]:
    """The rows of the comparison: the name of the structure -> Dice, HD95 and mean."""
    rows = page.locator("#comparison-rows tr")
    texts = [rows.nth(i).locator("th, td").all_inner_texts() for i in range(rows.count())]
    return {name: values for name, *values in texts}


def colours(page: Page) -> list[list[int]]:
    """The opaque colours of the overlay."""
    seen: list[list[int]] = page.evaluate(
        """() => {
          const canvas = document.querySelector("#overlay");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] === 255) seen.add(data.slice(i, i + 3).join(" "));
          }
          return [...seen].map((colour) => colour.split(" ").map(Number));
        }"""
    )
    return seen


@pytest.fixture
def comparing(five: Page, films: Path, give: Give) -> Page:
    """`a.png` with the tools for comparing."""
    give(five, films / "a.png")
    five.keyboard.press("k")
    expect(five.locator("#compare-tools")).to_be_visible()
    return five


def test_a_label_map_gives_dice_and_distances_as_evaluate_has_them(
    comparing: Page, tmp_path: Path, axe_violations: Any, settle: Settle
) -> None:
    """The reference has its right lung 4 px further in: of 32 columns 28 are common, 28/32."""
    others = {"Right lung": box(40, 120, 20, 52), "Left lung": LEFT, "Heart": box(66, 100, 52, 92)}
    labels = save_labels(tmp_path / "anything.png", *others.values())
    comparing.set_input_files("#masks", labels)
    expect(comparing.locator("#comparison-name")).to_have_text("anything.png")
    both = others["Right lung"] | LEFT
    pairs = {
        "Right lung": (RIGHT, others["Right lung"]),
        "Left lung": (LEFT, LEFT),
        "Heart beside the lungs": (HEART & ~RIGHT & ~LEFT, others["Heart"] & ~both),
        "Both lungs": (RIGHT | LEFT, both),
    }
    shown = cells(comparing)
    assert list(shown) == list(pairs)
    assert shown["Right lung"][0] == "0.88"
    for name, (own, other) in pairs.items():
        metrics = score(own, other)
        assert shown[name] == [
            f"{metrics.dice:.2f}", f"{metrics.hd95_px:.1f}", f"{metrics.assd_px:.1f}",
        ]  # fmt: skip
    expect(comparing.locator("#status")).to_contain_text("Right lung: Dice 0.88")
    expect(comparing.locator("#legend")).to_contain_text("Distance, px")
    comparing.keyboard.press("+")
    settle(comparing)
    assert NEAR in colours(comparing)
    assert MIDDLE in colours(comparing)
    assert axe_violations(comparing) == []


def test_a_mask_of_both_lungs_in_half_the_size_is_compared_as_one(
    comparing: Page, tmp_path: Path
) -> None:
    small = Image.fromarray(RIGHT | LEFT).resize((64, 80), Image.Resampling.NEAREST)
    small.save(tmp_path / "a_mask.png")
    comparing.set_input_files("#masks", tmp_path / "a_mask.png")
    expect(comparing.locator("#comparison-rows tr")).to_have_count(1)
    assert cells(comparing) == {"Both lungs": ["1.00", "0.0", "0.0"]}


def test_distances_are_in_mm_where_the_spacing_is_known(
    page: Page, films_root: Path, tmp_path: Path, give: Give
) -> None:
    """Rows are 0.8 mm apart and columns 0.4 mm."""
    film = pydicom.dcmread(films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm", force=True)
    film.ImagerPixelSpacing = [0.8, 0.4]
    film.save_as(tmp_path / "film.dcm")
    give(page, tmp_path / "film.dcm")
    with page.expect_download() as download:
        page.click('[data-save="mask"]')
    own = np.asarray(Image.open(download.value.path())) > 0
    other = np.roll(own, (7, 10), (0, 1))
    Image.fromarray(other).save(tmp_path / "film_mask.png")
    page.keyboard.press("k")
    page.set_input_files("#masks", tmp_path / "film_mask.png")
    expect(page.locator("#comparison")).to_be_visible()
    metrics = score(own, other, spacing=Spacing(0.8, 0.4, "ImagerPixelSpacing"))
    both = [f"{metrics.dice:.2f}", f"{metrics.hd95_mm:.1f}", f"{metrics.assd_mm:.1f}"]
    assert cells(page) == {"Both lungs": both}
    expect(page.locator("#hd95-unit")).to_have_text("mm")


def test_the_other_definition_and_the_outlines_before_edits(comparing: Page) -> None:
    """By `whole` the left lung also has columns 72 to 80 of rows 60 to 100."""
    expect(comparing.locator("#compare-with")).to_have_value("definition")
    expect(comparing.locator("#comparison-name")).to_have_text("whole")
    whole = LEFT | box(60, 100, 72, 80)
    metrics = score(LEFT, whole)
    assert cells(comparing)["Left lung"][0] == f"{metrics.dice:.2f}"
    comparing.keyboard.press("e")  # ends comparing
    expect(comparing.locator("#compare-tools")).to_be_hidden()
    comparing.keyboard.press("ArrowLeft")
    comparing.keyboard.press("Space")
    expect(comparing.locator("#edited")).to_be_visible()
    comparing.keyboard.press("k")
    expect(comparing.locator("#edit-tools")).to_be_hidden()
    comparing.locator("#compare-with").select_option("before")
    expect(comparing.locator("#comparison-name")).to_have_text("the outlines before the edits")
    assert cells(comparing)["Left lung"] == ["1.00", "0.0", "0.0"]
    assert float(cells(comparing)["Right lung"][0]) < 1


def test_swipe_and_blink_show_either_result(
    comparing: Page, tmp_path: Path, settle: Settle
) -> None:
    """The reference has no right lung: left of the line it is there, and right of it not."""
    comparing.emulate_media(reduced_motion="reduce")
    none = np.zeros_like(RIGHT)
    comparing.set_input_files("#masks", save_labels(tmp_path / "a_labels.png", none, LEFT))
    expect(comparing.locator("#comparison-name")).to_have_text("a_labels.png")
    assert cells(comparing)["Right lung"] == ["0.00", "–", "–"]
    comparing.get_by_text("Swipe", exact=True).click()
    swipe = comparing.locator("#swipe")
    for percent, is_shown in (("100", True), ("0", False)):
        swipe.fill(percent)
        settle(comparing)
        assert ([0, 114, 178] in colours(comparing)) is is_shown
    expect(comparing.locator("#side-right")).to_have_text("a_labels.png")
    comparing.locator("#screen").focus()
    for is_shown in (False, True):
        comparing.keyboard.press("x")
        settle(comparing)
        assert ([0, 114, 178] in colours(comparing)) is is_shown
        name = "this result" if is_shown else "a_labels.png"
        expect(comparing.locator("#status")).to_have_text(f"Shown: {name}")


def test_the_picture_blinks_by_itself(comparing: Page) -> None:
    comparing.get_by_text("Blink", exact=True).click()
    expect(comparing.locator("#side-left")).to_have_text("whole")
    expect(comparing.locator("#side-left")).to_have_text("this result")


def test_the_json_of_other_results_is_a_reference_for_each_film(
    five: Page, films: Path, tmp_path: Path, give: Give
) -> None:
    """As of other weights: the file has the masks of both films, by both definitions."""
    give(five, films / "a.png", films / "b.png")
    with five.expect_download() as download:
        five.click('[data-save="all-json"]')
    results = json.loads(Path(download.value.path()).read_text())
    right = results["results"][0]["lungs"]["field"]["rle"]["right"]
    right["counts"] = [sum(right["counts"])]
    (tmp_path / "others.json").write_text(json.dumps(results))
    five.keyboard.press("k")
    five.set_input_files("#masks", tmp_path / "others.json")
    expect(five.locator("#comparison-name")).to_have_text("others.json")
    assert cells(five)["Right lung"][0] == "0.00"
    five.keyboard.press("ArrowRight")
    expect(five.locator("#comparison-rows tr")).to_have_count(4)
    expect(five.locator("#comparison-name")).to_have_text("others.json")
    assert cells(five)["Both lungs"][0] == "1.00"


def test_a_mask_of_another_film_is_reported(comparing: Page, films: Path, tmp_path: Path) -> None:
    message = comparing.locator("#message-text")
    comparing.set_input_files("#masks", films / "a.png")
    expect(message).to_contain_text("so it is a film and no mask")
    (tmp_path / "notes.txt").write_text("no mask")
    comparing.set_input_files("#masks", tmp_path / "notes.txt")
    expect(message).to_contain_text("notes.txt cannot be read as a mask")
    Image.fromarray(box(10, 50, 10, 50, (100, 200))).save(tmp_path / "wide.png")
    comparing.set_input_files("#masks", tmp_path / "wide.png")
    expect(message).to_contain_text("200 × 100 px and the film 128 × 160")


def test_a_reload_keeps_the_reference(comparing: Page, tmp_path: Path, settle: Settle) -> None:
    comparing.set_input_files("#masks", save_labels(tmp_path / "a_labels.png", RIGHT, LEFT))
    expect(comparing.locator("#comparison-name")).to_have_text("a_labels.png")
    settle(comparing)
    comparing.on("dialog", lambda dialog: dialog.accept())
    comparing.reload()
    expect(comparing.locator("#result")).to_be_visible()
    comparing.keyboard.press("k")
    expect(comparing.locator("#comparison-name")).to_have_text("a_labels.png")
