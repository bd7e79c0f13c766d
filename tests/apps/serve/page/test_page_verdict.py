"""How the page shows a verdict, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from pleura.core.quality.verdict import HEART_DOUBTS
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import shipped


@pytest.fixture
def refusing(
    open_page: Callable[..., Any],
    start: Callable[..., httpx.Client],
    refusing_weights: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Page]:
    """A page whose weights give `refused` for every film by field, and `review` by whole."""
    address = str(start(engine=OnnxEngine(refusing_weights.read_bytes(), threads=1)).base_url)
    with open_page(address, request.node.name) as page:
        yield page


def test_a_film_without_doubts_is_ok(five: Page, films: Path, give: Callable[..., None]) -> None:
    give(five, films / "a.png")
    expect(five.locator("#verdict-name")).to_have_text("OK")
    expect(five.locator("#verdict")).to_have_attribute("data-verdict", "ok")
    expect(five.locator("#verdict .sign")).to_have_text("✓")
    expect(five.locator("#doubts li")).to_have_count(0)
    expect(five.locator("#veil")).to_be_hidden()
    expect(five.locator("#films .badge")).to_have_text(re.compile("✓ OK"))
    expect(five.locator("#status")).to_have_text(re.compile("a.png: lungs found. OK"))
    expect(five.locator("#estimate")).to_be_hidden()  # the card of these weights cannot estimate it


def test_doubts_are_shown_with_advice(
    five: Page, tmp_path: Path, give: Callable[..., None]
) -> None:
    ramp = np.tile(np.linspace(200, 240, 128).astype(np.uint8), (160, 1))
    ramp[40:120, 16:48] = 40  # on the viewer's left only
    Image.fromarray(ramp).save(tmp_path / "one.png")
    give(five, tmp_path / "one.png")
    expect(five.locator("#verdict-name")).to_have_text("Please review")
    expect(five.locator("#verdict .sign")).to_have_text("!")
    expect(five.locator("#doubts li").first).to_contain_text("check the film for the other one")
    expect(five.locator("#veil")).to_be_hidden()
    expect(five.locator("#overlay")).to_have_css("opacity", "1")
    expect(five.locator("#status")).to_have_text(re.compile("Please review. Only one lung"))


def test_a_refused_film_hides_its_outlines_until_the_user_shows_them(
    refusing: Page, films: Path, give: Callable[..., None]
) -> None:
    give(refusing, films / "a.png")
    expect(refusing.locator("#verdict-name")).to_have_text("Refused")
    expect(refusing.locator("#doubts li")).to_have_text([re.compile("^No lung was found")])
    expect(refusing.locator("#veil")).to_contain_text("Refused: the outlines are hidden.")
    expect(refusing.locator("#overlay")).to_have_css("opacity", "0")
    expect(refusing.locator("#status")).to_have_text(re.compile("^a.png: Refused. No lung"))
    refusing.get_by_text("Show them anyway").click()
    expect(refusing.locator("#veil")).to_be_hidden()
    expect(refusing.locator("#overlay")).to_have_css("opacity", "1")
    refusing.keyboard.press("l")
    expect(refusing.locator("#overlay")).to_have_css("opacity", "0")


def test_the_verdict_is_that_of_the_selected_definition(
    refusing: Page, films: Path, give: Callable[..., None]
) -> None:
    give(refusing, films / "a.png", films / "b.png")
    badges = refusing.locator("#films .badge")
    expect(badges).to_have_text([re.compile("✕ Refused")] * 2)
    refusing.keyboard.press("d")
    expect(refusing.locator("#verdict-name")).to_have_text("Please review")
    expect(refusing.locator("#veil")).to_be_hidden()
    expect(refusing.locator("#overlay")).to_have_css("opacity", "1")
    expect(badges).to_have_text([re.compile("! Please review")] * 2)
    expect(refusing.locator("#status")).to_have_text(re.compile("^whole: Please review. Only one"))
    refusing.get_by_text("Field", exact=True).click()
    expect(refusing.locator("#verdict-name")).to_have_text("Refused")
    expect(refusing.locator("#veil")).to_be_visible()  # they were not shown by field
    refusing.keyboard.press("l")
    expect(refusing.locator("#veil")).to_be_hidden()
    refusing.locator("#films button").nth(1).click()
    expect(refusing.locator("#veil")).to_be_visible()  # another film


def test_the_reason_for_no_ratio_stands_below_it(
    refusing: Page, films: Path, give: Callable[..., None]
) -> None:
    give(refusing, films / "a.png")
    reasons = refusing.locator("#heart-doubts li")
    expect(reasons).to_have_text([HEART_DOUBTS["film_refused"]])
    refusing.keyboard.press("d")
    expect(reasons).to_have_text([HEART_DOUBTS["no_chest_width"]])
    ratio = refusing.locator("#ratios div", has_text="Cardiothoracic ratio")
    expect(ratio.locator("dd")).to_have_text("\u2013")
    expect(ratio.locator("i")).to_have_count(0)  # no sign of bars that are not drawn


def test_the_saved_json_has_the_verdict(
    refusing: Page, films: Path, give: Callable[..., None]
) -> None:
    give(refusing, films / "a.png")
    with refusing.expect_download() as download:
        refusing.click('[data-save="json"]')
    saved = json.loads(Path(download.value.path()).read_text())
    verdicts = {name: lungs["quality"]["verdict"] for name, lungs in saved["lungs"].items()}
    assert verdicts == {"field": "refused", "whole": "review"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violations_in_any_verdict(
    refusing: Page, films: Path, scheme: Any, give: Callable[..., None], axe_violations: Any
) -> None:
    refusing.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    give(refusing, films / "a.png")
    expect(refusing.locator("#veil")).to_be_visible()
    assert axe_violations(refusing) == []
    refusing.keyboard.press("d")
    expect(refusing.locator("#verdict-name")).to_have_text("Please review")
    refusing.set_viewport_size({"width": 360, "height": 740})
    assert axe_violations(refusing) == []
    wide = "() => document.documentElement.scrollWidth - window.innerWidth"
    assert refusing.evaluate(wide) <= 0


def test_a_lateral_film_has_the_verdict_of_the_command_line(
    open_page: Callable[..., Any],
    start: Callable[..., httpx.Client],
    films_root: Path,
    run: Callable[..., Any],
    tmp_path: Path,
    give: Callable[..., None],
) -> None:
    """With the shipped weights; any verdict will do."""
    lateral = films_root / "negatives" / "covid-19-pneumonia-14-L.jpg"
    assert run("segment", lateral, "-o", tmp_path, "--threads", 1, "-q").code == 0
    with (tmp_path / "results.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    address = str(start(engine=OnnxEngine(shipped(), threads=1)).base_url)
    with open_page(address, "lateral") as page:
        give(page, lateral)
        expect(page.locator("#verdict")).to_have_attribute("data-verdict", row["verdict"])
        expect(page.locator("#doubts li")).to_have_count(
            len(row["doubts"].split(";") if row["doubts"] else [])
        )
        expect(page.locator("#estimate")).to_be_visible(visible=row["estimated_dice"] != "")
