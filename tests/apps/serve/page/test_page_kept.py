"""No work on the page is lost without a warning; no decision moves to other films or outlines."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from pleura.core.card import Card
from pleura.runtime.engine import Engine, OnnxEngine

Give = Callable[..., None]
Settle = Callable[[Page], None]


def wait_for(page: Page, name: str, definition: str = "field") -> None:
    """Wait until a film is on the screen."""
    expect(page.locator("#screen")).to_have_attribute("data-shown", f"{name} {definition}")


def draw(page: Page) -> None:
    """Draw at the film's middle, one step to the left."""
    page.keyboard.press("e")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    expect(page.locator("#edited")).to_be_visible()
    expect(page.locator('[data-save="csv"]')).to_be_enabled()
    page.keyboard.press("Escape")


def saved(page: Page, what: str) -> bytes:
    with page.expect_download() as download:
        page.click(f'[data-save="{what}"]')
    return Path(download.value.path()).read_bytes()


def review_rows(page: Page) -> list[dict[str, str]]:
    page.keyboard.press("t")
    rows = list(csv.DictReader(io.StringIO(saved(page, "review").decode())))
    page.keyboard.press("t")
    return rows


@pytest.fixture
def tabs(browser: Browser) -> Any:
    """Tabs of one browser, which share its store."""
    context = browser.new_context(viewport={"width": 1280, "height": 820})
    yield context
    context.close()


def open_tab(tabs: BrowserContext, address: str) -> Page:
    page = tabs.new_page()
    page.set_default_timeout(30_000)
    page.goto(address)
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def test_a_second_tab_takes_the_films_and_the_first_says_so(
    tabs: BrowserContext, five_address: str, films: Path, give: Give, settle: Settle
) -> None:
    """A comment in the first tab does not overwrite the edit and the decision of the second."""
    first = open_tab(tabs, five_address)
    give(first, films / "a.png")
    wait_for(first, "a.png")
    settle(first)
    expect(first.locator("#message")).to_be_hidden()
    second = open_tab(tabs, five_address)
    wait_for(second, "a.png")
    expect(first.locator("#message-text")).to_contain_text("opened again in another tab")
    expect(second.locator("#message")).to_be_hidden()
    draw(second)
    second.keyboard.press("y")
    expect(second.locator("#films .decision")).to_have_text(["accepted"])
    settle(second)
    first.locator("#comment").fill("of the first tab")
    first.keyboard.press("Escape")
    first.keyboard.press("Delete")
    expect(first.locator("#welcome")).to_be_visible()
    settle(first)
    first.reload()
    wait_for(first, "a.png")
    expect(first.locator("#edited")).to_be_visible()
    expect(first.locator("#films .decision")).to_have_text(["accepted"])
    expect(first.locator("#comment")).to_have_value("")
    expect(second.locator("#message-text")).to_contain_text("opened again in another tab")


NO_STORE = """() => {
  IDBObjectStore.prototype.add = function () { this.transaction.abort(); return {}; };
}"""


def test_a_browser_that_cannot_keep_films_says_so(five: Page, films: Path, give: Give) -> None:
    five.evaluate(NO_STORE)
    give(five, films / "a.png")
    expect(five.locator("#message-text")).to_contain_text("This browser cannot keep the films")


@pytest.fixture
def two(five: Page, films: Path, tmp_path: Path, give: Give) -> Page:
    """`1.png` and `2.png`, both of them `a.png`."""
    for name in ("1", "2"):
        Image.open(films / "a.png").save(tmp_path / f"{name}.png")
    give(five, tmp_path / "1.png", tmp_path / "2.png")
    wait_for(five, "1.png")
    return five


WORK: dict[str, Callable[[Page], None]] = {
    "edit": draw,
    "decision": lambda page: page.locator("#accept").click(),
    "comment": lambda page: page.locator("#comment").fill("seen"),
}


@pytest.mark.parametrize("work", WORK)
def test_a_film_with_work_is_removed_only_after_a_question(two: Page, work: str) -> None:
    WORK[work](two)
    asked: list[str] = []
    two.once("dialog", lambda dialog: asked.append(dialog.message) or dialog.dismiss())
    two.get_by_role("button", name="Remove", exact=True).click()
    assert asked == ["Remove 1.png, with its edits, decision and comment?"]
    expect(two.locator("#count")).to_have_text("Film 1 of 2")
    two.once("dialog", lambda dialog: dialog.accept())
    two.get_by_role("button", name="Remove", exact=True).click()
    expect(two.locator("#count")).to_have_text("Film 1 of 1")


def test_a_decision_is_lost_only_after_a_question(two: Page) -> None:
    two.keyboard.press("y")
    two.once("dialog", lambda dialog: dialog.dismiss())
    two.keyboard.press("m")
    expect(two.locator("#films .decision")).to_have_text(["accepted"])
    expect(two.locator("#flip")).to_have_attribute("aria-pressed", "false")


def test_a_key_that_is_held_down_decides_on_one_film(two: Page) -> None:
    """The system repeats the key; the next film was not seen yet."""
    two.keyboard.press("t")
    two.locator('[name="filter-verdict"]').select_option("ok")  # Y goes to the next film that is OK
    two.get_by_role("button", name="Back to the film").click()
    two.locator("#screen").focus()
    two.keyboard.down("y")
    wait_for(two, "2.png")
    for _ in range(3):
        two.keyboard.down("y")
    two.keyboard.up("y")
    two.keyboard.press("ArrowLeft")
    wait_for(two, "1.png")
    expect(two.locator("#films .decision")).to_have_text(["accepted"])


def test_a_held_delete_removes_one_film(two: Page) -> None:
    two.locator("#screen").focus()
    for _ in range(3):
        two.keyboard.down("Delete")
    two.keyboard.up("Delete")
    expect(two.locator("#count")).to_have_text("Film 1 of 1")


def test_a_stroke_that_changes_no_pixel_is_no_edit(two: Page) -> None:
    """The right lung is rows 40 to 120 and columns 16 to 48 of a film of 128 x 160 px."""
    two.keyboard.press("y")
    two.keyboard.press("e")
    two.locator('[name="structure"]').select_option("left")
    two.locator("#screen").focus()
    two.keyboard.press("x")  # the eraser, at the film's middle, where no left lung is
    two.keyboard.press("ArrowLeft")
    two.keyboard.press("Space")
    expect(two.locator("#status")).to_have_text("No pixel was changed.")
    expect(two.locator("#edited")).to_be_hidden()
    expect(two.locator("#films .decision")).to_have_text(["accepted"])


def test_two_fingers_zoom_and_draw_nothing(two: Page) -> None:
    two.keyboard.press("y")
    two.keyboard.press("ArrowLeft")
    wait_for(two, "1.png")
    two.keyboard.press("e")
    before = two.locator("#film").get_attribute("data-position") or ""
    box = two.locator("#screen").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    devtools = two.context.new_cdp_session(two)

    def touch(kind: str, *points: float) -> None:
        places = [{"x": at, "y": y, "id": finger} for finger, at in enumerate(points)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", x)
    touch("touchStart", x, x + 30)
    touch("touchMove", x, x + 90)
    touch("touchEnd")
    expect(two.locator("#film")).not_to_have_attribute("data-position", before)
    expect(two.locator("#edited")).to_be_hidden()
    touch("touchStart", x)
    touch("touchEnd")
    expect(two.locator("#edited")).to_be_visible()  # one finger draws


TWO_STROKES = """async () => {
  const press = (key) => document.getElementById("screen")
    .dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  press("e");
  press("ArrowLeft");
  press(" ");
  for (let step = 0; step < 80; step++) press("ArrowDown");
  press(" ");
}"""
"""Draws twice, far from each other, while the film is still being decoded for the first stroke."""


def test_two_strokes_while_a_film_is_decoded_are_both_there(
    browser: Browser, five_address: str, films: Path, tmp_path: Path, give: Give
) -> None:
    """The worker keeps the samples of one film only, as with films of 40 megapixels."""
    page = browser.new_page()

    def limit(route: Route) -> None:
        text = route.fetch().text()
        assert "MAX_SAMPLES = 60_000_000" in text
        route.fulfill(
            body=text.replace("MAX_SAMPLES = 60_000_000", "MAX_SAMPLES = 1"),
            content_type="text/javascript",
        )

    page.route("**/worker/decoded.js", limit)
    page.goto(five_address)
    for name in ("1", "2"):
        Image.open(films / "a.png").save(tmp_path / f"{name}.png")
    give(page, tmp_path / "1.png", tmp_path / "2.png")
    wait_for(page, "1.png")
    page.keyboard.press("ArrowRight")
    wait_for(page, "2.png")
    page.keyboard.press("ArrowLeft")
    wait_for(page, "1.png")
    page.evaluate(TWO_STROKES)
    expect(page.locator("#edited")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(page.locator("#edited")).to_be_visible()  # the first stroke is left
    page.keyboard.press("Control+z")
    expect(page.locator("#edited")).to_be_hidden()
    page.close()


def test_a_decision_belongs_to_the_definition_that_was_shown(
    two: Page, tmp_path: Path, settle: Settle
) -> None:
    two.keyboard.press("y")
    two.keyboard.press("d")
    wait_for(two, "1.png", "whole")
    expect(two.locator("#accept")).to_have_attribute("aria-pressed", "false")
    expect(two.locator("#decided-on")).to_have_text(
        "You accepted the outlines by “field”, not these."
    )
    assert [row["definition"] for row in review_rows(two)] == ["field", "whole"]
    two.keyboard.press("t")
    path = tmp_path / "corrections.zip"
    path.write_bytes(saved(two, "corrections"))
    two.keyboard.press("t")
    with zipfile.ZipFile(path) as content:
        (film,) = json.loads(content.read("corrections.json"))["films"]
    assert sorted(film["masks"]) == ["heart", "left_field", "right_field"]
    two.keyboard.press("y")
    expect(two.locator("#accept")).to_have_attribute("aria-pressed", "true")
    assert review_rows(two)[0]["definition"] == "whole"


def test_hidden_outlines_are_shown_before_they_are_accepted(two: Page) -> None:
    two.keyboard.press("l")
    expect(two.locator("#overlay")).to_have_css("opacity", "0")
    two.keyboard.press("y")
    expect(two.locator("#overlay")).to_have_css("opacity", "1")
    expect(two.locator("#films .decision")).to_have_count(0)
    two.keyboard.press("y")
    expect(two.locator("#films .decision")).to_have_text(["accepted"])


def test_films_that_the_filters_hide_are_named_outside_the_table(two: Page) -> None:
    two.keyboard.press("t")
    two.locator("#filter-measure").select_option("area")
    two.locator('[name="filter-to"]').fill("3000")  # both have 5,120 px
    two.locator('[name="filter-to"]').press("Tab")
    expect(two.locator("#rows")).to_have_text("The filters hide all films.")
    two.get_by_role("button", name="Back to the film").click()
    expect(two.locator("#totals")).to_contain_text("2 hidden by the filters of the table")
    two.keyboard.press("j")
    expect(two.locator("#status")).to_have_text(
        "No other film is left to review. The filters of the table hide 2 films."
    )


def test_enter_leaves_the_comment(two: Page) -> None:
    two.keyboard.press("c")
    two.keyboard.type("yes")
    expect(two.locator("#films .decision")).to_have_count(0)
    two.keyboard.press("Enter")
    two.keyboard.press("y")
    expect(two.locator("#comment")).to_have_value("yes")
    expect(two.locator("#films .decision")).to_have_text(["accepted"])


def test_decisions_are_not_read_for_another_film_of_the_same_name_and_size(
    two: Page, tmp_path: Path, give: Give
) -> None:
    """As uncompressed DICOM films of one device have; a film that is the same gets them."""
    two.locator("#comment").fill("of the first patient")
    two.locator("#comment").press("Enter")
    two.keyboard.press("y")
    expect(two.locator("#films .decision")).to_have_count(1)
    two.keyboard.press("t")
    table = tmp_path / "review.csv"
    table.write_bytes(saved(two, "review"))
    two.on("dialog", lambda dialog: dialog.accept())
    two.get_by_role("button", name="Forget all").click()
    expect(two.locator("#welcome")).to_be_visible()
    same = (tmp_path / "1.png").read_bytes()
    other = tmp_path / "other" / "1.png"
    other.parent.mkdir()
    other.write_bytes(
        same[:-12] + same[-12:-4] + bytes(4)
    )  # the last checksum of the file is another
    give(two, table, other)
    expect(two.locator("#films .decision")).to_have_count(0)
    expect(two.locator("#message-text")).to_contain_text("0 of 2 decisions are of films that are")
    two.get_by_role("button", name="Remove", exact=True).click()
    give(two, tmp_path / "1.png")
    expect(two.locator("#films .decision")).to_have_text(["accepted"])
    expect(two.locator("#comment")).to_have_value("of the first patient")


class ExchangedEngine:
    """An engine that runs other weights from one request to the next, as after a restart."""

    def __init__(self, engine: Engine) -> None:
        self.current = engine

    @property
    def card(self) -> Card:
        return self.current.card

    @property
    def name(self) -> str:
        return self.current.name

    @property
    def weights_sha256(self) -> str:
        return self.current.weights_sha256

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.current.predict(batch)


def test_other_weights_take_decisions_back_and_save_nothing_under_the_old_outlines(
    start: Callable[..., httpx.Client],
    open_page: Callable[..., Any],
    five_weights: Path,
    refusing_weights: Path,
    films: Path,
    give: Give,
    settle: Settle,
) -> None:
    engine = ExchangedEngine(OnnxEngine(five_weights.read_bytes(), threads=1))
    with open_page(str(start(engine=engine).base_url), "exchanged") as page:
        page.on("dialog", lambda dialog: dialog.accept())
        give(page, films / "a.png")
        page.keyboard.press("y")
        expect(page.locator("#films .decision")).to_have_text(["accepted"])
        settle(page)
        page.reload()
        wait_for(page, "a.png")
        expect(page.locator("#films .decision")).to_have_text(["accepted"])  # the same outlines
        engine.current = OnnxEngine(refusing_weights.read_bytes(), threads=1)
        page.click('[data-save="labels"]')
        expect(page.locator("#message-text")).to_contain_text("other weights")
        page.reload()
        wait_for(page, "a.png")
        expect(page.locator("#films .decision")).to_have_count(0)
        expect(page.locator("#message-text")).to_contain_text("was on other outlines")
