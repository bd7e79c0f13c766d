"""Segmenting a mirrored film on the page: the control, the offer beside a doubt, a reload."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Page, expect

from pleura.runtime.mirror import FLIPPED
from pleura.runtime.open import open_weights

Give = Callable[..., None]
Settle = Callable[[Page], None]


def saved(page: Page, what: str) -> bytes:
    expect(page.locator(f'[data-save="{what}"]')).to_be_enabled()
    with page.expect_download() as download:
        page.click(f'[data-save="{what}"]')
    return Path(download.value.path()).read_bytes()


def labels_of_service(address: str, film: Path, *, flip: bool) -> bytes:
    query = {"lungs": "field", "format": "labels", "flip": str(flip).lower()}
    response = httpx.post(f"{address}/v1/segmentations", params=query, content=film.read_bytes())
    assert response.status_code == 200
    return response.content


def colour(page: Page, column: float) -> str:
    """Blue or orange: the fill of `a.png`, 160 x 128 px, at half its height and at a column."""
    red, _, blue, alpha = page.evaluate(
        """(column) => {
          const canvas = document.querySelector("#overlay");
          const scale = Math.min(canvas.width / 128, canvas.height / 160); // it fills the screen
          const x = canvas.width / 2 + (column - 64) * scale;
          return [...canvas.getContext("2d").getImageData(x, canvas.height / 2, 1, 1).data];
        }""",
        column,
    )
    assert alpha > 0
    return "blue" if blue > red else "orange"


def test_the_control_segments_the_mirror_image_and_the_film_again(
    five: Page, five_address: str, films: Path, give: Give
) -> None:
    give(five, films / "a.png")
    control = five.locator("#flip")
    colours = ("blue", "orange")  # right is blue
    for flip in (False, True, False):
        expect(control).to_have_attribute("aria-pressed", str(flip).lower())
        expect(five.locator("#screen")).to_have_attribute("data-shown", "a.png field")
        expect(five.locator("#mirrored")).to_be_visible(visible=flip)
        assert saved(five, "labels") == labels_of_service(five_address, films / "a.png", flip=flip)
        assert json.loads(saved(five, "json"))["provenance"]["flip"] is flip
        assert (colour(five, 32), colour(five, 96)) == colours[:: -1 if flip else 1]
        five.keyboard.press("m")


def test_an_edit_of_a_mirrored_film_is_saved_on_its_side(
    five: Page, films: Path, give: Give
) -> None:
    """A point beside the film's middle, (65, 80), is drawn as the right lung."""
    give(five, films / "a.png")
    five.click("#flip")
    expect(five.locator("#mirrored")).to_be_visible()
    five.keyboard.press("e")
    five.keyboard.press("ArrowRight")
    five.keyboard.press("Space")
    expect(five.locator("#edited")).to_be_visible()
    labels = np.asarray(Image.open(io.BytesIO(saved(five, "labels"))))
    assert [labels[80, column] for column in (32, 65, 96)] == [2, 1, 1]
    provenance = json.loads(saved(five, "json"))["provenance"]
    assert provenance["flip"] is True
    assert provenance["edited"].startswith("edited by hand")
    row = next(csv.DictReader(saved(five, "csv").decode().splitlines()))
    assert row["notes"] == f"{FLIPPED}; edited by hand"


def test_edits_are_lost_only_after_a_question(five: Page, films: Path, give: Give) -> None:
    give(five, films / "a.png")
    expect(five.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    five.keyboard.press("e")
    five.keyboard.press("ArrowLeft")
    five.keyboard.press("Space")
    expect(five.locator("#edited")).to_be_visible()
    expect(five.locator('[data-save="mask"]')).to_be_enabled()
    answers = iter(("dismiss", "accept"))
    five.on("dialog", lambda dialog: getattr(dialog, next(answers))())
    five.click("#flip")
    expect(five.locator("#flip")).to_have_attribute("aria-pressed", "false")
    expect(five.locator("#edited")).to_be_visible()
    five.click("#flip")
    expect(five.locator("#flip")).to_have_attribute("aria-pressed", "true")
    expect(five.locator("#result")).to_be_visible()
    expect(five.locator("#edited")).to_be_hidden()


def test_a_reload_keeps_the_option(five: Page, films: Path, give: Give, settle: Settle) -> None:
    give(five, films / "a.png")
    five.click("#flip")
    expect(five.locator("#notes")).to_contain_text("mirrored")
    five.on("dialog", lambda dialog: dialog.accept())
    settle(five)
    five.reload()
    expect(five.locator("#flip")).to_have_attribute("aria-pressed", "true")
    expect(five.locator("#notes")).to_contain_text("mirrored")


def test_a_film_that_its_header_mirrors_says_why_the_control_has_no_effect(
    page: Page, films_root: Path, tmp_path: Path, give: Give, axe_violations: Any
) -> None:
    film = pydicom.dcmread(films_root / "dicom" / "CR-MONO1-10-chest_nopreamble.dcm", force=True)
    film.PatientOrientation = ["R", "F"]
    film.save_as(tmp_path / "film.dcm")
    give(page, tmp_path / "film.dcm")
    control = page.locator("#flip")
    expect(control).to_have_attribute("aria-pressed", "true")
    expect(control).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#mirrored")).to_contain_text("Mirrored film by its header")
    assert axe_violations(page) == []
    page.keyboard.press("m")
    expect(page.locator("#message-text")).to_contain_text("PatientOrientation")
    expect(page.locator("#result")).to_be_visible()
    assert json.loads(saved(page, "json"))["mirrored"] is True


@pytest.fixture
def mirrored(films_root: Path, tmp_path: Path) -> Path:
    """A real film, stored as its mirror image."""
    path = tmp_path / "mirrored.png"
    with Image.open(films_root / "jsrt512" / "images" / "JPCLN001.png") as film:
        ImageOps.mirror(film).save(path)
    return path


def test_the_doubt_about_the_heart_offers_the_mirror_image(
    open_page: Callable[..., AbstractContextManager[Page]],
    start: Callable[..., httpx.Client],
    mirrored: Path,
    give: Give,
) -> None:
    address = str(start(engine=open_weights()).base_url)
    with open_page(address, "mirror-offer") as page:
        give(page, mirrored)
        expect(page.locator("#verdict-name")).to_have_text("Please review")
        expect(page.locator("#doubts")).to_contain_text("heart")
        page.click("#mirror-again")
        expect(page.locator("#verdict-name")).to_have_text("OK")
        expect(page.locator("#mirror-offer")).to_be_hidden()
        expect(page.locator("#flip")).to_have_attribute("aria-pressed", "true")
        assert saved(page, "labels") == labels_of_service(address, mirrored, flip=True)
