"""The web page in a real browser: results on the screen and in saved files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Browser, Download, Page, expect
from scipy import ndimage
from tests.apps.serve.page.canvas import pixels

Give = Callable[..., None]
Violations = Callable[[Page], list[str]]


def save(page: Page, what: str) -> Download:
    with page.expect_download() as download:
        page.click(f'[data-save="{what}"]')
    return download.value


def content(page: Page, what: str) -> bytes:
    return Path(save(page, what).path()).read_bytes()


@pytest.fixture
def written(films: Path, tiny_weights: Path, run: Callable[..., Any], tmp_path: Path) -> Path:
    """The output folder of the command line for the same films."""
    out = tmp_path / "written"
    options = ["--weights", tiny_weights, "-f", "mask,overlay", "--no-progress", "--threads", 1]
    assert run("segment", films, "-o", out, *options).code == 0
    return out


def test_a_film_is_shown_measured_and_saved_as_the_command_line_does(
    page: Page, films: Path, written: Path, give: Give
) -> None:
    give(page, films / "b.png")
    expect(page.locator("#name")).to_have_text("b.png")
    expect(page.locator("#facts")).to_contain_text("128 × 200 px")
    expect(page.locator("#save-seg")).to_be_hidden()
    with (written / "results.csv").open(newline="") as file:
        expected = next(row for row in csv.DictReader(file) if row["film"] == "b")
    area = page.locator("#areas tr").filter(has_text="Area, px").locator("td")
    areas = [int(name.replace(",", "")) for name in area.all_text_contents()]
    assert areas == [int(expected[f"{name}_area_px"]) for name in ("right", "left", "lungs")]
    assert content(page, "mask") == (written / "b_mask.png").read_bytes()
    assert content(page, "overlay") == (written / "b_overlay.png").read_bytes()
    row = next(csv.DictReader(content(page, "csv").decode().splitlines()))
    assert row.keys() == expected.keys()
    for name in ("film", "lungs_area_px", "lungs_box", "notes", "status"):
        assert row[name] == expected[name]
    assert json.loads(content(page, "json"))["lungs"]["field"]["measurements"]["left_box"]
    assert save(page, "mask").suggested_filename == "b_mask.png"


def inner_part(mask: np.ndarray[Any, Any], *, by: int) -> np.ndarray[Any, Any]:
    """The mask without the pixels at its edge, `by` pixels wide."""
    inner: np.ndarray[Any, Any] = ndimage.binary_erosion(mask, iterations=by)
    return inner


def test_the_painted_overlay_is_the_mask(
    page: Page, films: Path, written: Path, give: Give
) -> None:
    give(page, films / "b.png")
    expect(page.locator("#screen")).to_have_attribute("data-shown", "b.png field")
    film, overlay = pixels(page, "film"), pixels(page, "overlay")
    mask = np.asarray(Image.open(written / "b_mask.png")) > 0
    painted = np.asarray(Image.open(written / "b_overlay.png"))[: len(film)]  # without the legend
    assert np.array_equal(overlay[..., 3] > 0, mask)
    difference = film[~mask][:, :3].astype(int) - painted[~mask]
    assert np.abs(difference).max() <= 1  # the grey values of the server; halves may be rounded up
    edge = overlay[..., 3] == 255
    assert edge[~inner_part(mask, by=2)].sum() == mask[~inner_part(mask, by=2)].sum()
    assert {tuple(colour) for colour in overlay[edge][:, :3]} == {(0, 114, 178), (213, 94, 0)}
    page.get_by_text("Outline", exact=True).click()
    outlined = pixels(page, "overlay")
    assert np.array_equal(outlined[..., 3] == 255, edge)
    assert (outlined[..., 3] > 0).sum() == edge.sum()


WHITE, INK = (255, 255, 255, 255), (0x10, 0x17, 0x1D, 255)


def is_bar(colours: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where (..., 4) colours are those of the bars of the cardiothoracic widths."""
    matches = [(colours == colour).all(axis=-1) for colour in (WHITE, INK)]
    of_bar: np.ndarray[Any, Any] = np.any(matches, axis=0)
    return of_bar


def test_the_cardiothoracic_widths_are_drawn_at_their_place(
    five: Page, films: Path, give: Give
) -> None:
    """The widths of a film of 160 x 128 px are 96 px (thorax) and 40 px (heart).

    The lungs lie in rows 40 to 120 and columns 16 to 112, the heart in rows 60 to 100 and columns
    52 to 92. The ratio is 0.417.
    """
    give(five, films / "a.png")
    expect(five.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    expect(five.locator("#ratios")).to_contain_text("Cardiothoracic ratio0.42")
    expect(five.locator("#ratios")).to_contain_text("Heart, px1,600")  # 40 x 40
    overlay = pixels(five, "overlay")
    for row, left, right in ((40, 16, 112), (80, 52, 92)):
        there = is_bar(overlay[row])
        assert there[left:right].all()
        assert not there[:left].any()
        assert not there[right:].any()
        for end in (left, right - 1):  # a tick of 15 px and a half at each end
            for tick in (slice(row - 7, row - 2), slice(row + 3, row + 8)):
                assert is_bar(overlay[tick, end]).all()
            assert not is_bar(overlay[[row - 9, row + 9], end]).any()
    between = overlay[76:85, 60:76, 3]  # inside the heart, which has an outline only
    assert (between[4] == 255).all()
    assert not between[[0, 8]].any()


def test_field_and_whole_are_switched_without_a_request(
    five: Page, films: Path, five_weights: Path, run: Callable[..., Any], tmp_path: Path, give: Give
) -> None:
    """The left lung is 80 x 32 = 2,560 px by field, and 40 x 8 = 320 px more by whole."""
    give(five, films / "a.png")
    area = five.locator("#areas tr").filter(has_text="Area, px").locator("td").nth(1)
    expect(area).to_have_text("2,560")
    urls: list[str] = []
    five.on("request", lambda request: urls.append(request.url))
    painted = pixels(five, "overlay")
    five.keyboard.press("d")
    expect(area).to_have_text("2,880")
    expect(five.locator('input[value="whole"]')).to_be_checked()
    more = (pixels(five, "overlay")[..., 3] > 0) & (painted[..., 3] == 0)
    assert more[63:77, 72:80].all()  # beside the heart and above its bar
    assert not [url for url in urls if not url.startswith("data:")]
    options = ["--weights", five_weights, "-f", "mask,overlay", "--no-progress", "--threads", 1]
    for lungs in ("whole", "field"):
        five.get_by_text(lungs.capitalize(), exact=True).click()
        out = tmp_path / lungs
        assert run("segment", films / "a.png", "-o", out, "--lungs", lungs, *options).code == 0
        for what in ("mask", "overlay"):
            assert content(five, what) == (out / f"a_{what}.png").read_bytes()


NAME_OF_FOCUS = """() => {
  const { dataset, name, id } = document.activeElement;
  return dataset.save || dataset.do || name || id;
}"""


def test_a_result_is_saved_with_the_keyboard_alone(
    five: Page, films: Path, written: Path, give: Give
) -> None:
    give(five, films / "b.png")
    expect(five.locator("#result")).to_be_visible()
    order: list[str] = []
    while "mask" not in order and len(order) < 40:
        five.keyboard.press("Tab")
        order.append(five.evaluate(NAME_OF_FOCUS))
    reached = ["screen", "definition", "style", "fill", "drag", "window", "out", "in"]
    assert [name for name in order if name in reached] == reached
    with five.expect_download() as download:
        five.keyboard.press("Enter")
    assert Path(download.value.path()).read_bytes() == (written / "b_mask.png").read_bytes()


def test_the_drawn_example_is_segmented(page: Page) -> None:
    page.click("text=Try a synthetic film")
    expect(page.locator("#result")).to_be_visible(timeout=60_000)
    expect(page.locator("#name")).to_have_text("example.png")
    expect(page.locator("#facts")).to_contain_text("672 × 768 px")


def test_many_films_and_a_bad_one(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png", films / "notes.txt", films / "b.png", films / "deep/a.png")
    states = page.locator("#films button").evaluate_all("(all) => all.map((b) => b.dataset.status)")
    assert states == ["done", "failed", "done", "done"]
    page.locator("#films button").nth(1).click()
    expect(page.locator("#failure-title")).to_have_text("This file could not be read")
    expect(page.locator("#failure-text")).to_have_text(re.compile("^This is a text file; .*one.$"))
    expect(page.locator("#result")).to_be_hidden()
    page.locator("#films button").nth(2).click()
    expect(page.locator("#name")).to_have_text("b.png")
    rows = list(csv.DictReader(content(page, "all-csv").decode().splitlines()))
    assert [row["film"] for row in rows] == ["a", "notes", "b", "a (2)"]
    assert [row["path"] for row in rows] == ["a.png", "notes.txt", "b.png", "a.png"]
    assert [row["status"] for row in rows] == ["done", "failed", "done", "done"]
    assert rows[1]["error"].startswith("this is a text file")
    results = json.loads(content(page, "all-json"))["results"]
    assert [result["status"] for result in results] == ["done", "failed", "done", "done"]
    expect(page.locator("#count")).to_have_text("Film 3 of 4")
    expect(page.locator("#totals")).to_contain_text("1 failed")


def test_a_file_name_is_no_formula_in_the_table(page: Page, films: Path, give: Give) -> None:
    (films / "a.png").rename(films / "=1+1.png")
    give(page, films / "=1+1.png")
    expect(page.locator("#name")).to_have_text("=1+1.png")
    row = next(csv.DictReader(content(page, "csv").decode().splitlines()))
    assert (row["film"], row["path"], row["lungs_box"][0]) == ("'=1+1", "'=1+1.png", "4")


def test_a_photograph_is_segmented_on_request(page: Page, tmp_path: Path, give: Give) -> None:
    colours = np.zeros((160, 128, 3), np.uint8)
    colours[:, :, 0] = np.arange(128) * 2
    colours[:, :, 1] = np.arange(160)[:, None]
    Image.fromarray(colours).save(tmp_path / "phone.png")
    give(page, tmp_path / "phone.png")
    expect(page.locator("#failure-text")).to_have_text(re.compile("colour photograph.*of it.$"))
    page.get_by_text("Segment it anyway").click()
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#notes")).to_contain_text("read as grey because this was requested")
    overlay = Image.open(io.BytesIO(content(page, "overlay")))
    assert (overlay.width, overlay.info["pleura:film"]) == (128, "160,128")


def test_the_page_stores_no_data_and_runs_no_inline_code(page: Page, address: str) -> None:
    expect(page.locator("body")).to_contain_text("Not for diagnosis.")
    expect(page.locator("body")).to_contain_text("The server stores nothing")
    assert page.evaluate("() => [localStorage.length, document.cookie]") == [0, ""]
    markup = httpx.get(address).text
    assert "style=" not in markup
    assert re.findall(r"<script(?![^>]*\bsrc=)", markup) == []
    assert re.findall(r"(?:src|href)=\"(?!page/|docs\")", markup) == []


def test_the_page_asks_for_the_key(
    browser: Browser, start: Callable[..., httpx.Client], films: Path, give: Give
) -> None:
    page = browser.new_page()
    page.goto(str(start(key="s3cret").base_url))
    expect(page.locator("#key")).to_be_visible()
    give(page, films / "a.png")
    expect(page.locator("#failure-title")).to_have_text("The API key is missing or wrong")
    page.fill("#key-input", "s3cret")
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_be_visible()
    page.close()


def test_a_dicom_film_is_shown_as_it_was_segmented(
    page: Page,
    films_root: Path,
    tiny_weights: Path,
    run: Callable[..., Any],
    tmp_path: Path,
    give: Give,
) -> None:
    film = films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm"
    options = ["--weights", tiny_weights, "-f", "mask,overlay", "--no-progress", "--threads", 1]
    assert run("segment", film, "-o", tmp_path, *options).code == 0
    give(page, film)
    expect(page.locator("#facts")).to_have_text(re.compile("^440 × 440 px · PA"))
    (mask,) = tmp_path.glob("*_mask.png")
    (overlay,) = tmp_path.glob("*_overlay.png")
    assert content(page, "mask") == mask.read_bytes()
    seg = save(page, "seg")
    assert seg.suggested_filename == "CR-MONO1-10-chest_nopreamble_seg.dcm"
    marked = pydicom.dcmread(seg.path()).pixel_array.any(axis=0)
    assert np.array_equal(marked, np.asarray(Image.open(mask)) > 0)
    outside_lungs = np.asarray(Image.open(mask)) == 0
    shown = pixels(page, "film")[outside_lungs][:, :3]
    film_rows = np.asarray(Image.open(overlay))[: len(outside_lungs)]  # without the legend
    assert np.array_equal(shown, film_rows[outside_lungs])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations(
    five: Page, films: Path, scheme: Any, give: Give, axe_violations: Violations
) -> None:
    """With no film, with a result and with a failure; by every rule of axe-core."""
    five.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour in transition
    assert axe_violations(five) == []
    give(five, films / "a.png", films / "notes.txt")
    expect(five.locator("#result")).to_be_visible()
    five.click("summary")
    assert axe_violations(five) == []
    five.locator("#films button").nth(1).click()
    expect(five.locator("#failure-title")).to_be_visible()
    five.set_viewport_size({"width": 360, "height": 740})
    assert axe_violations(five) == []


def test_axe_finds_a_violation(page: Page, axe_violations: Violations) -> None:
    page.evaluate("() => document.querySelector('#files').hidden = false")
    page.evaluate("() => document.querySelector('#files').removeAttribute('aria-label')")
    assert [rule for rule in axe_violations(page) if rule.startswith("label:")]
