"""Corrections saved by the page are a data set that `pleura data` reads."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from pleura.lab.data.layouts.registry import read_films

Give = Callable[..., None]
Mask = NDArray[np.bool_]

ROWS, COLUMNS = np.mgrid[:160, :128] + 0.5
RIGHT: Mask = (ROWS > 40) & (ROWS < 120) & (COLUMNS > 16) & (COLUMNS < 48)
LEFT: Mask = (ROWS > 40) & (ROWS < 120) & (COLUMNS > 80) & (COLUMNS < 112)
HEART: Mask = (ROWS > 60) & (ROWS < 100) & (COLUMNS > 52) & (COLUMNS < 92)
"""What the weights of `five` give for `a.png`, 128 x 160 px."""


@pytest.fixture
def three(five: Page, films: Path, tmp_path: Path, give: Give) -> Page:
    """`edited.png`, `accepted.png` and `rejected.png`, all of them `a.png`."""
    names = ("edited", "accepted", "rejected")
    for name in names:
        Image.open(films / "a.png").save(tmp_path / f"{name}.png")
    give(five, *(tmp_path / f"{name}.png" for name in names))
    return five


def choose(page: Page, name: str) -> None:
    page.click(f'#films button[title="{name}.png"]')
    expect(page.locator("#screen")).to_have_attribute("data-shown", f"{name}.png field")


def edit(page: Page) -> Mask:
    """Draw the right lung at the film's middle, (64, 80), one step to the left; its new mask."""
    page.keyboard.press("e")
    page.locator("#radius").fill("6")
    page.locator("#radius").dispatch_event("change")
    page.locator("#screen").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.locator("#edited")).to_be_visible()
    expect(page.locator('[data-save="csv"]')).to_be_enabled()
    page.keyboard.press("Escape")
    disc: Mask = (COLUMNS - 62.8) ** 2 + (ROWS - 80) ** 2 <= 6**2
    return RIGHT | disc


def save_corrections(page: Page, folder: Path) -> Path:
    page.click("#table-button")
    with page.expect_download() as download:
        page.click('[data-save="corrections"]')
    assert download.value.suggested_filename == "corrections.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def test_edited_and_accepted_masks_come_back_as_labels(
    three: Page, tmp_path: Path, run: Callable[..., Any]
) -> None:
    for name, key in (("accepted", "y"), ("rejected", "n")):
        choose(three, name)
        three.keyboard.press(key)
    choose(three, "edited")
    edited = edit(three)
    folder = save_corrections(three, tmp_path / "corrections")
    films = {film.id: film for film in read_films(folder)}
    assert sorted(films) == ["accepted", "edited"]
    expected = {
        "edited": {"right_field": edited, "left_field": LEFT, "heart": HEART},
        "accepted": {"right_field": RIGHT, "left_field": LEFT, "heart": HEART},
    }
    for name, masks in expected.items():
        labels = films[name].read_labels().targets
        assert set(labels) == set(masks)
        for channel, mask in masks.items():
            assert np.array_equal(labels[channel], mask), (name, channel)
        given = np.asarray(Image.open(tmp_path / f"{name}.png"))
        assert np.array_equal(np.asarray(Image.open(films[name].image)), given)
    report = run("data", "check", folder, "--json", "--no-progress")
    facts = json.loads(report.out)
    assert facts["pairs"] == 2
    assert facts["channels"] == {"heart": 2, "left_field": 2, "right_field": 2}
    assert run("data", "split", folder, "--out", tmp_path / "split.csv").code == 0


def test_the_masks_of_a_mirrored_film_lie_on_the_film_as_it_is_read(
    three: Page, tmp_path: Path
) -> None:
    choose(three, "edited")
    three.keyboard.press("m")
    expect(three.locator("#flip")).to_have_attribute("aria-pressed", "true")
    expect(three.locator("#screen")).to_have_attribute("data-shown", "edited.png field")
    three.keyboard.press("y")
    (film,) = read_films(save_corrections(three, tmp_path / "corrections"))
    stored = np.asarray(Image.open(tmp_path / "edited.png"), np.float32)
    assert np.array_equal(film.read_image().pixels, stored[:, ::-1])
    assert not film.read_image().mirrored
    labels = film.read_labels().targets
    assert np.array_equal(labels["right_field"], RIGHT)  # `a.png` is symmetrical
    assert np.array_equal(labels["left_field"], LEFT)


def test_there_is_nothing_to_save_without_a_correction(three: Page) -> None:
    three.click("#table-button")
    three.click('[data-save="corrections"]')
    expect(three.locator("#message-text")).to_contain_text("No film was edited or accepted")
