"""The review on the page: decisions, keys, the table with its filters, and the table review.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from pleura.runtime.engine import OnnxEngine

Give = Callable[..., None]
Settle = Callable[[Page], None]


def wait_for(page: Page, name: str) -> None:
    """Wait until a film is on the screen."""
    expect(page.locator("#screen")).to_have_attribute("data-shown", f"{name} field")


@pytest.fixture
def batch(films: Path, tmp_path: Path) -> list[Path]:
    """Four films in this order: ok, review (one lung), ok, review (one lung); then one that fails.

    The lungs of `a.png` have 2 x 2,560 px; a film without its left lung has 2,560.
    """
    whole = np.asarray(Image.open(films / "a.png")).copy()
    half = whole.copy()
    half[:, 64:] = half[0, 0]
    folder = tmp_path / "batch"
    folder.mkdir()
    for name, pixels in (("1", whole), ("2", half), ("3", whole), ("10", half)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "notes.txt").write_text("no film")
    return [folder / f"{name}.png" for name in ("1", "2", "3", "10")] + [folder / "notes.txt"]


@pytest.fixture
def review(five: Page, batch: list[Path], give: Give) -> Page:
    give(five, *batch)
    wait_for(five, "1.png")
    return five


def saved(page: Page, what: str) -> list[dict[str, str]]:
    """The rows of a saved CSV file."""
    with page.expect_download() as download:
        page.click(f'[data-save="{what}"]')
    assert download.value.suggested_filename == f"{what}.csv"
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))


def rows(page: Page) -> Locator:
    return page.locator("#rows th button")


def test_keys_go_from_doubt_to_doubt(review: Page) -> None:
    """J skips, Y accepts, N rejects; films that are OK are passed over."""
    expect(review.locator("#totals")).to_contain_text("2 OK · 2 to review · 1 failed")
    review.keyboard.press("j")
    wait_for(review, "2.png")
    review.keyboard.press("j")
    wait_for(review, "10.png")
    review.keyboard.press("j")  # from the beginning again
    wait_for(review, "2.png")
    review.keyboard.press("y")
    wait_for(review, "10.png")
    expect(review.locator("#status")).to_contain_text("10.png")
    review.keyboard.press("n")
    expect(review.locator("#reject")).to_have_attribute("aria-pressed", "true")
    expect(review.locator("#name")).to_have_text("10.png")  # no other one is left
    expect(review.locator("#next-review")).to_be_disabled()
    expect(review.locator("#totals")).to_contain_text("1 accepted · 1 rejected")
    expect(review.locator("#films .decision")).to_have_text(["accepted", "rejected"])
    review.keyboard.press("n")  # takes it back
    expect(review.locator("#reject")).to_have_attribute("aria-pressed", "false")
    expect(review.locator("#films .decision")).to_have_text(["accepted"])


def test_decisions_and_comments_are_saved_and_kept_on_reload(review: Page, settle: Settle) -> None:
    review.keyboard.press("j")
    wait_for(review, "2.png")
    review.keyboard.press("c")
    review.keyboard.type('left lung is missing, "again"')
    review.locator("#reject").click()
    wait_for(review, "10.png")
    expect(review.locator("#comment")).to_have_value("")
    review.keyboard.press("y")
    expect(review.locator("#films .decision")).to_have_count(2)
    review.on("dialog", lambda dialog: dialog.accept())
    settle(review)
    review.reload()
    expect(review.locator("#films button[data-status]")).to_have_count(5)
    expect(review.locator("#films .decision")).to_have_text(["rejected", "accepted"])
    review.keyboard.press("t")
    one, two, three, ten, failed = saved(review, "review")
    assert [one["film"], one["verdict"], one["decision"], one["edited"]] == [
        "1.png",
        "ok",
        "",
        "no",
    ]
    assert two["decision"] == "rejected"
    assert two["comment"] == 'left lung is missing, "again"'
    assert two["verdict"] == "review"
    assert two["decided_at"].startswith("20")
    assert (three["decision"], ten["decision"]) == ("", "accepted")
    assert (failed["status"], failed["verdict"]) == ("failed", "")


def test_the_table_is_sorted_and_filtered(review: Page) -> None:
    review.keyboard.press("t")
    expect(review.locator("#viewer")).to_be_hidden()
    expect(rows(review)).to_have_text(["1.png", "2.png", "3.png", "10.png", "notes.txt"])
    expect(review.locator("#table-count")).to_have_text("5 of 5 films, 2 to review")
    film = review.get_by_role("button", name="Film", exact=True)
    film.click()
    film.click()
    expect(rows(review)).to_have_text(["notes.txt", "10.png", "3.png", "2.png", "1.png"])
    review.get_by_role("button", name="Lungs, px").click()
    expect(rows(review)).to_have_text(["2.png", "10.png", "1.png", "3.png", "notes.txt"])
    expect(review.locator("#table-head [aria-sort]")).to_have_text("Lungs, px ▴")
    review.locator('[name="filter-verdict"]').select_option("ok")
    expect(rows(review)).to_have_text(["1.png", "3.png"])
    expect(review.locator("#table-count")).to_have_text("2 of 5 films, 2 to review")
    review.locator('[name="filter-verdict"]').select_option("")
    review.locator("#filter-measure").select_option("area")
    review.locator('[name="filter-to"]').fill("3000")
    review.locator('[name="filter-to"]').press("Tab")
    expect(rows(review)).to_have_text(["2.png", "10.png"])
    rows(review).nth(1).click()
    wait_for(review, "10.png")
    expect(review.locator("#table")).to_be_hidden()
    review.keyboard.press("n")
    wait_for(review, "2.png")  # the next in the table's order, from its beginning again
    review.keyboard.press("t")
    review.locator('[name="filter-decision"]').select_option("rejected")
    expect(rows(review)).to_have_text(["10.png"])


def test_films_without_an_estimated_dice_are_sorted_by_their_uncertainty(review: Page) -> None:
    """The weights of the test have no reference values, so no Dice is estimated."""
    review.keyboard.press("t")
    heads = review.locator("#table-head button")
    expect(heads.filter(has_text="Estimated Dice")).to_have_count(0)
    head = heads.filter(has_text="Uncertainty")
    head.click()
    head.click()
    expect(review.locator("#table-head [aria-sort]")).to_have_text("Uncertainty ▾")
    cells = review.locator("#table-body tr").filter(has_text="png")
    values = [
        float(row.locator("td.number").first.inner_text().replace(",", ".")) for row in cells.all()
    ]
    assert len(values) == 4
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] > 0


def test_decisions_are_read_again(
    review: Page, batch: list[Path], give: Give, tmp_path: Path
) -> None:
    """In a page that has some of the films, and gets another one later."""
    table = tmp_path / "review.csv"
    sizes = {path.name: path.stat().st_size for path in batch}
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["film", "bytes", "decision", "comment", "edited", "decided_at"])
        writer.writerow(["1.png", sizes["1.png"], "accepted", '\'=good, "1"', "no", "2026-01-02"])
        writer.writerow(["2.png", sizes["2.png"] + 1, "accepted", "another film", "no", ""])
        writer.writerow(["3.png", sizes["3.png"], "accepted", "was edited", "yes", "2026-01-02"])
        writer.writerow(["1 (2).png", sizes["1.png"], "rejected", "late", "no", "2026-01-02"])
    review.set_input_files("#files", table)
    expect(review.locator("#message-text")).to_contain_text(
        "2 of 4 decisions are of films that are"
    )
    expect(review.locator("#message-text")).to_contain_text(
        "1 of them were on other masks, edited by hand"
    )
    expect(review.locator("#films .decision")).to_have_text(["accepted"])
    give(review, batch[0])
    expect(review.locator("#films .decision")).to_have_text(["accepted", "rejected"])
    expect(review.locator("#films button")).to_have_count(6)  # the table is no film
    read = {row["film"]: row for row in saved_from_table(review)}
    assert read["1.png"]["comment"] == '\'=good, "1"'  # safe for spreadsheets, and once only
    assert (read["3.png"]["decision"], read["3.png"]["comment"]) == ("", "was edited")
    assert (read["2.png"]["decision"], read["2.png"]["comment"]) == ("", "")
    assert read["1 (2).png"]["comment"] == "late"


def saved_from_table(page: Page) -> list[dict[str, str]]:
    page.keyboard.press("t")
    return saved(page, "review")


def test_an_edit_takes_the_decision_back_and_comes_back_with_the_film(
    review: Page, settle: Settle
) -> None:
    review.keyboard.press("y")
    wait_for(review, "2.png")
    review.locator("#films button").first.click()
    wait_for(review, "1.png")
    expect(review.locator("#accept")).to_have_attribute("aria-pressed", "true")
    area = review.locator("#areas tr").filter(has_text="Area, px").locator("td").first
    expect(area).to_have_text("2,560")
    review.keyboard.press("e")
    review.keyboard.press("ArrowLeft")
    review.keyboard.press("Space")
    expect(review.locator("#accept")).to_have_attribute("aria-pressed", "false")
    expect(area).not_to_have_text("2,560")
    expect(review.locator('[data-save="mask"]')).to_be_enabled()
    edited = area.text_content() or ""
    review.keyboard.press("y")
    wait_for(review, "2.png")
    review.on("dialog", lambda dialog: dialog.accept())
    settle(review)
    review.reload()
    wait_for(review, "1.png")
    expect(review.locator("#edited")).to_be_visible()
    expect(area).to_have_text(edited)
    expect(review.locator("#accept")).to_have_attribute("aria-pressed", "true")
    one = saved_from_table(review)[0]
    assert (one["decision"], one["edited"]) == ("accepted", "yes")
    review.keyboard.press("t")
    review.keyboard.press("e")
    review.keyboard.press("Control+z")  # all edits of the last visit are one step
    expect(area).to_have_text("2,560")
    expect(review.locator("#edited")).to_be_hidden()


def test_another_result_has_no_decision(review: Page) -> None:
    review.locator("#accept").click()
    expect(review.locator("#films .decision")).to_have_count(1)
    review.locator("#films button").first.click()
    wait_for(review, "1.png")
    review.on("dialog", lambda dialog: dialog.accept())
    review.keyboard.press("m")
    expect(review.locator("#films .decision")).to_have_count(0)


@pytest.fixture
def refused(
    open_page: Callable[..., Any],
    start: Callable[..., httpx.Client],
    refusing_weights: Path,
    films: Path,
    give: Give,
) -> Iterator[Page]:
    address = str(start(engine=OnnxEngine(refusing_weights.read_bytes(), threads=1)).base_url)
    with open_page(address, "review-refused") as page:
        give(page, films / "a.png")
        yield page


def test_a_refused_film_is_accepted_only_when_its_outlines_were_shown(refused: Page) -> None:
    expect(refused.locator("#veil")).to_be_visible()
    refused.keyboard.press("y")
    expect(refused.locator("#veil")).to_be_hidden()
    expect(refused.locator("#accept")).to_have_attribute("aria-pressed", "false")
    refused.keyboard.press("y")
    expect(refused.locator("#accept")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1366, 650), (911, 433), (320, 640)])
def test_the_table_fits_and_axe_finds_no_violations(
    review: Page, axe_violations: Any, scheme: Any, width: int, height: int
) -> None:
    review.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    review.set_viewport_size({"width": width, "height": height})
    review.keyboard.press("y")
    wait_for(review, "2.png")
    review.keyboard.press("t")
    expect(rows(review)).to_have_count(5)
    assert axe_violations(review) == []
    wide = "() => document.documentElement.scrollWidth - window.innerWidth"
    assert review.evaluate(wide) <= 0
    body = review.locator("#table-body").bounding_box()
    assert body is not None
    assert body["height"] >= 80
