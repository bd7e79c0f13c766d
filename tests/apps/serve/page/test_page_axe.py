"""No state of the page breaks a rule of axe-core, in the light and in the dark scheme."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

Give = Callable[..., None]


def edit_states(page: Page) -> Iterator[str]:
    page.keyboard.press("e")
    yield "edit: brush"
    for pen, key in {"eraser": "x", "pull": "p"}.items():
        page.keyboard.press(key)
        expect(page.locator(f'input[value="{pen}"]')).to_be_checked()
        yield f"edit: {pen}"
    page.keyboard.press("b")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.locator("#edited")).to_be_visible()
    yield "edited"
    page.keyboard.press("e")


def compare_states(page: Page) -> Iterator[str]:
    page.keyboard.press("k")
    expect(page.locator("#legend")).to_be_visible()
    yield "compare: together"
    page.get_by_text("Swipe", exact=True).click()
    expect(page.locator("#side-right")).to_be_visible()
    yield "compare: swipe"
    page.get_by_text("Blink", exact=True).click()
    page.keyboard.press("x")
    expect(page.locator("#side-left")).to_be_visible()
    yield "compare: blink"
    page.keyboard.press("x")
    yield "compare: blink, swapped"
    page.keyboard.press("k")


def measure_states(page: Page) -> Iterator[str]:
    page.locator("#screen").focus()
    page.keyboard.press("r")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#status")).to_contain_text("Length")
    yield "ruler"
    page.keyboard.press("h")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#ratio-by-hand")).to_be_visible()
    yield "cardiothoracic ratio by hand"
    page.keyboard.press("Escape")


def review_states(page: Page) -> Iterator[str]:
    page.keyboard.press("y")
    page.locator("#comment").fill("seen")
    page.locator("#screen").focus()
    yield "accepted"
    page.keyboard.press("t")
    expect(page.locator("#rows tr")).to_have_count(3)
    yield "table"
    page.locator('[data-sort="verdict"]').click()
    page.locator('[name="filter-verdict"]').select_option("failed")
    expect(page.locator("#rows tr")).to_have_count(1)
    yield "table, sorted and filtered"
    page.keyboard.press("t")


def failure_states(page: Page) -> Iterator[str]:
    page.keyboard.press("k")
    expect(page.locator("#compare-tools")).to_be_visible()
    page.click('#films button[title="notes.txt"]')
    expect(page.locator("#failure")).to_be_visible()
    yield "failed, compare"
    page.set_viewport_size({"width": 320, "height": 640})
    yield "failed, narrow"
    page.set_input_files("#masks", {"name": "a.txt", "mimeType": "text/plain", "buffer": b"none"})
    expect(page.locator("#message")).to_be_visible()
    yield "message"
    page.evaluate("document.getElementById('key').hidden = false")
    yield "key"
    page.locator("summary").click()
    yield "keyboard"


STATES = (edit_states, compare_states, measure_states, review_states, failure_states)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_state_of_the_page_breaks_a_rule(
    five: Page, films: Path, give: Give, axe_violations: Any, scheme: Any
) -> None:
    five.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour in transition
    found = {"welcome": axe_violations(five)}
    give(five, films / "a.png", films / "b.png", films / "notes.txt")
    for states in STATES:
        for name in states(five):
            found[name] = axe_violations(five)
    assert len(found) == 19
    assert {name: rules for name, rules in found.items() if rules} == {}
