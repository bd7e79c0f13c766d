"""The layout of the page at the sizes of common screens, and on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

Give = Callable[..., None]

SIZES = [(1366, 650), (1024, 600), (911, 433), (1280, 560)]

PARTS = ("#screen", "#tools", "#panel-head", "#panel-body", "#downloads", "#overview", "#row")
"""Parts of the page that lie beside or below one another."""


def box_of(page: Page, part: str) -> dict[str, float]:
    box = page.locator(part).bounding_box()
    assert box is not None, part
    return dict(box)


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two boxes share more than the rounding of a pixel."""
    return all(
        min(one[at] + one[size], other[at] + other[size]) - max(one[at], other[at]) > 1
        for at, size in (("x", "width"), ("y", "height"))
    )


def check_nothing_overlaps(page: Page) -> None:
    boxes = {part: box_of(page, part) for part in (*PARTS, "header", "footer")}
    for one in boxes:
        for other in boxes:
            assert one == other or not overlap(boxes[one], boxes[other]), (one, other)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_overlaps_and_verdict_and_downloads_are_in_sight(
    five: Page, films: Path, give: Callable[..., None], width: int, height: int
) -> None:
    five.set_viewport_size({"width": width, "height": height})
    give(five, films / "a.png", films / "b.png", films / "deep/a.png", films / "notes.txt")
    expect(five.locator("#result")).to_be_visible()
    check_nothing_overlaps(five)
    for part in ("#name", "#verdict", *PARTS):
        box = box_of(five, part)
        assert box["x"] >= 0, part
        assert box["y"] >= 0, part
        assert box["x"] + box["width"] <= width, part
        assert box["y"] + box["height"] <= height, part
    assert box_of(five, "#screen")["height"] >= 180
    assert box_of(five, "#panel-body")["height"] >= 60


@pytest.mark.parametrize(("key", "tools"), [("e", "#edit-tools"), ("k", "#compare-tools")])
def test_nothing_overlaps_with_more_tools(
    five: Page, films: Path, give: Callable[..., None], key: str, tools: str
) -> None:
    give(five, films / "a.png", films / "b.png")
    five.keyboard.press(key)
    for width, height in SIZES:
        five.set_viewport_size({"width": width, "height": height})
        expect(five.locator(tools)).to_be_visible()
        check_nothing_overlaps(five)
        assert not overlap(box_of(five, tools), box_of(five, "#screen"))
        assert not overlap(box_of(five, tools), box_of(five, "#tools"))
        assert box_of(five, "#screen")["height"] >= 120
        end = box_of(five, "#row")
        assert end["y"] + end["height"] <= height


def test_at_320_px_verdict_film_and_downloads_are_in_sight(
    five: Page, films: Path, give: Callable[..., None]
) -> None:
    five.set_viewport_size({"width": 320, "height": 640})
    give(five, films / "a.png", films / "b.png")
    expect(five.locator("#result")).to_be_visible()
    wide = "() => document.documentElement.scrollWidth - window.innerWidth"
    assert five.evaluate(wide) <= 0
    for part in ("#name", "#verdict", "#screen", "#downloads"):
        box = box_of(five, part)
        assert 0 <= box["y"] <= box["y"] + box["height"] <= 640, part
    head = [box_of(five, part) for part in ("#panel-head", "#screen", "#downloads")]
    assert not any(overlap(one, other) for one in head for other in head if one is not other)


def test_the_panel_is_at_its_top_for_another_film(
    five: Page, films: Path, give: Callable[..., None]
) -> None:
    five.set_viewport_size({"width": 911, "height": 433})
    give(five, films / "a.png", films / "b.png")
    expect(five.locator("#result")).to_be_visible()
    scroll = "() => document.getElementById('panel-body').scrollTop"
    five.evaluate("() => document.getElementById('panel-body').scrollTo(0, 200)")
    assert five.evaluate(scroll) > 0
    five.keyboard.press("ArrowRight")
    expect(five.locator("#name")).to_have_text("b.png")
    assert five.evaluate(scroll) == 0


def test_paper_has_the_film_and_its_result_without_the_tools(
    five: Page, films: Path, give: Callable[..., Any]
) -> None:
    give(five, films / "a.png", films / "b.png")
    expect(five.locator("#result")).to_be_visible()
    five.emulate_media(media="print")
    for part in ("#tools", "#strip", "#downloads", "header", "footer"):
        expect(five.locator(part)).to_be_hidden()
    for part in ("#film", "#name", "#verdict", "#areas", "#ratios"):
        expect(five.locator(part)).to_be_visible()


def test_at_320_px_zoom_and_value_lie_apart(
    five: Page, films: Path, give: Callable[..., None]
) -> None:
    five.set_viewport_size({"width": 320, "height": 640})
    give(five, films / "a.png")
    box = box_of(five, "#screen")
    five.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(five.locator("#value")).to_contain_text("x ")
    assert not overlap(box_of(five, "#readout"), box_of(five, "#value"))


IS_EMPTY = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.every((value) => value === 0);
}"""


def test_a_film_that_failed_has_no_histogram_of_the_film_before(
    five: Page, films: Path, give: Callable[..., None]
) -> None:
    give(five, films / "a.png", films / "notes.txt")
    five.click('#films button[title="a.png"]')
    expect(five.locator("#result")).to_be_visible()
    assert not five.locator("#histogram").evaluate(IS_EMPTY)
    five.click('#films button[title="notes.txt"]')
    expect(five.locator("#result")).to_be_hidden()
    assert five.locator("#histogram").evaluate(IS_EMPTY)
    expect(five.locator("#window")).to_be_disabled()
    five.click('#films button[title="a.png"]')
    expect(five.locator("#result")).to_be_visible()
    assert not five.locator("#histogram").evaluate(IS_EMPTY)
    expect(five.locator("#window")).to_be_enabled()


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (911, 433), (390, 844)])
def test_no_digit_of_a_large_film_is_cut(
    five: Page, films: Path, give: Callable[..., None], width: int, height: int
) -> None:
    """The areas of a film of 20 megapixels; its box is wider than the scroll bar leaves."""
    five.set_viewport_size({"width": width, "height": height})
    give(five, films / "a.png")
    expect(five.locator("#result")).to_be_visible()
    five.evaluate("""() => {
      for (const cell of document.querySelectorAll("#areas td")) cell.textContent = "3,320,331";
      document.getElementById("panel-body").style.overflowY = "scroll";
    }""")
    table, body = (five.locator(each).bounding_box() for each in ("#measures table", "#result"))
    assert table is not None
    assert body is not None
    assert table["x"] + table["width"] <= body["x"] + body["width"]


def test_long_names_show_their_end(five: Page, films: Path, tmp_path: Path, give: Give) -> None:
    name = f"the same long beginning {'x' * 100} of both names 2.png"
    (tmp_path / name).write_bytes((films / "a.png").read_bytes())
    give(five, tmp_path / name)
    heading = five.locator("#name")
    expect(heading).to_have_text(f"{name[:26]}…{name[-22:]}")
    height = "(heading) => heading.scrollHeight <= heading.clientHeight"
    assert heading.evaluate(height), "the end of the name is cut"
    five.keyboard.press("t")
    five.wait_for_timeout(0)
    verdict = five.locator("#rows td").first.bounding_box()
    assert verdict is not None
    assert verdict["x"] < 640, "the verdict is on the screen"


def test_a_long_message_is_as_high_as_its_text(five: Page) -> None:
    five.evaluate("""async () => {
      const { tell } = await import("./page/panel/elements.js");
      tell("A message of several lines. ".repeat(20));
    }""")
    text, card = (five.locator(each).bounding_box() for each in ("#message-text", "#message"))
    assert text is not None
    assert card is not None
    assert card["height"] < text["height"] + 100  # the button, the gap and the padding
