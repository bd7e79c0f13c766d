"""Adding, removing and keeping films on the page: folders, zip files, the clipboard, a reload."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

Give = Callable[..., None]
Settle = Callable[[Page], None]

TRANSFER = """([event, files]) => {
  const carried = new DataTransfer();
  for (const [name, content] of files) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
    carried.items.add(new File([bytes], name));
  }
  const options = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(event === "paste"
    ? new ClipboardEvent("paste", { ...options, clipboardData: carried })
    : new DragEvent("drop", { ...options, dataTransfer: carried }));
}"""


SLOW_STORE = """
  const open = IDBFactory.prototype.open;
  IDBFactory.prototype.open = function (...given) {
    const real = open.apply(this, given);
    const request = {};
    real.onupgradeneeded = () => { request.result = real.result; request.onupgradeneeded(); };
    real.onsuccess = () => setTimeout(() => {
      request.result = real.result;
      request.onsuccess();
    }, 1000);
    return request;
  };
"""
"""A script that lets the browser's store open only after a second."""


def bring(page: Page, event: str, **files: bytes) -> None:
    """Drop or paste files on the page; `__` in a name stands for a dot."""
    content = [
        [name.replace("__", "."), base64.b64encode(data).decode()] for name, data in files.items()
    ]
    page.evaluate(TRANSFER, [event, content])


def labels(page: Page) -> list[str]:
    """The names on the thumbnails, whole."""
    names: list[str] = page.locator("#films button").evaluate_all(
        "(all) => all.map((button) => button.title)"
    )
    return names


def zipped(films: Path, method: int) -> bytes:
    """A zip file with two films in folders, a hidden file and what macOS adds."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.write(films / "a.png", "ward a/a.png")
        archive.write(films / "b.png", "ward b/a.png")
        archive.writestr("__MACOSX/ward a/._a.png", b"x")
        archive.writestr("ward a/.DS_Store", b"x")
    return stream.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_is_unpacked(page: Page, films: Path, method: int) -> None:
    bring(page, "drop", ward__zip=zipped(films, method))
    expect(page.locator('#films button[data-status="done"]')).to_have_count(2)
    assert labels(page) == ["ward/ward a/a.png", "ward/ward b/a.png"]
    expect(page.locator("#name")).to_have_text("ward/ward a/a.png")


def test_a_damaged_zip_file_has_a_message(page: Page, films: Path) -> None:
    bring(page, "drop", ward__zip=zipped(films, zipfile.ZIP_STORED)[:300])
    expect(page.locator("#message-text")).to_contain_text("damaged zip file")
    page.get_by_text("Close", exact=True).click()
    expect(page.locator("#message")).to_be_hidden()


def test_a_picture_is_pasted(page: Page, films: Path) -> None:
    bring(page, "paste", image__png=(films / "a.png").read_bytes())
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#name")).to_have_text("image.png")


def test_a_folder_is_chosen(page: Page, films: Path) -> None:
    page.set_input_files("#folder", films)
    expect(page.locator("#films button[data-status]")).to_have_count(4)
    assert sorted(labels(page)) == [
        f"films/{name}" for name in ("a.png", "b.png", "deep/a.png", "notes.txt")
    ]


def test_films_of_one_name_are_distinguished(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png", films / "deep/a.png")
    assert labels(page) == ["a.png", "a (2).png"]


def test_long_names_that_differ_at_the_end_are_told_apart(
    page: Page, films: Path, give: Give
) -> None:
    same = "the same long beginning of both names "
    for number in (1, 2):
        (films / f"{same}{number}.png").write_bytes((films / "a.png").read_bytes())
    give(page, films / f"{same}1.png", films / f"{same}2.png")
    for number, name in enumerate(page.locator("#films .name").all(), 1):
        tail = name.locator(".tail")
        assert (tail.text_content() or "").endswith(f"{number}.png")
        inside, outside = tail.bounding_box(), page.locator("#films button").nth(number - 1)
        box = outside.bounding_box()
        assert inside is not None
        assert box is not None
        assert inside["x"] + inside["width"] <= box["x"] + box["width"]


KEPT = """async () => {
  const [{ name }] = await indexedDB.databases();
  const opened = (request) => new Promise((done) => {
    request.onsuccess = () => done(request.result);
  });
  const stores = (await opened(indexedDB.open(name))).transaction(["films", "states"]);
  const counts = ["films", "states"].map((store) => opened(stores.objectStore(store).count()));
  return Promise.all(counts);
}"""
"""How many films, and states of films, the browser keeps."""

BROKEN_STORE = """() => {
  IDBObjectStore.prototype.clear = function () {
    if (this.name === "films") this.transaction.abort();
    return {};
  };
}"""


def test_films_are_removed_one_by_one_or_all_forgotten(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png", films / "b.png", films / "notes.txt")
    expect(page.locator("#totals")).to_contain_text("1 failed")
    expect(page.locator("#count")).to_have_text("Film 1 of 3")
    page.keyboard.press("Delete")
    expect(page.locator("#name")).to_have_text("b.png")
    expect(page.locator("#count")).to_have_text("Film 1 of 2")
    page.locator("#comment").fill("seen")
    page.wait_for_function(f"async () => `${{await ({KEPT})()}}` === '2,1'")
    asked: list[str] = []
    forget = page.get_by_role("button", name="Forget")
    page.once("dialog", lambda dialog: asked.append(dialog.message) or dialog.dismiss())
    forget.click()
    assert asked[0].startswith("Forget all 2 films, with edits, decisions and comments?")
    expect(page.locator("#count")).to_have_text("Film 1 of 2")
    page.on("dialog", lambda dialog: dialog.accept())
    forget.click()
    expect(page.locator("#welcome")).to_be_visible()
    page.wait_for_function(f"async () => `${{await ({KEPT})()}}` === '0,0'")
    page.reload()
    page.wait_for_timeout(500)
    expect(page.locator("#welcome")).to_be_visible()  # nothing came back


def test_films_that_cannot_be_deleted_are_reported(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png")
    page.evaluate(BROKEN_STORE)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Forget").click()
    expect(page.locator("#message-text")).to_contain_text("could not delete the films")


def test_a_reload_asks_first_and_brings_the_films_back(
    page: Page, films: Path, give: Give, settle: Settle
) -> None:
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    give(page, films / "a.png", films / "b.png")
    page.click("#films button >> nth=1")  # a page asks only after the user did something
    settle(page)
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.locator('#films button[data-status="done"]')).to_have_count(2)
    assert labels(page) == ["a.png", "b.png"]


def test_a_film_that_is_added_before_the_stored_films_are_read_is_there_once(
    browser: Browser, address: str, films: Path
) -> None:
    page = browser.new_page()
    page.add_init_script(SLOW_STORE)
    page.goto(address)
    bring(page, "paste", image__png=(films / "a.png").read_bytes())
    expect(page.locator('#films button[data-status="done"]')).to_have_count(1)
    page.wait_for_timeout(1500)  # longer than the store needs
    assert labels(page) == ["image.png"]
    page.reload()
    expect(page.locator('#films button[data-status="done"]')).to_have_count(1)
    assert labels(page) == ["image.png"]
    page.close()


def test_a_film_is_cancelled_and_sent_again(
    open_page: Callable[..., Any], start: Callable[..., httpx.Client], halting: Any, films: Path
) -> None:
    with open_page(str(start(engine=halting).base_url), "cancelled") as page:
        page.set_input_files("#files", [films / "a.png"])
        expect(page.locator("#wait-text")).to_have_text("Looking for the lungs…")
        page.click("#cancel")
        expect(page.locator("#failure-title")).to_have_text("Cancelled")
        halting.go.set()
        page.click("#retry")
        expect(page.locator("#result")).to_be_visible()


def test_a_save_that_fails_is_shown_and_announced(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png")
    page.route("**/v1/segmentations*", lambda route: route.abort())
    page.click('[data-save="overlay"]')
    expect(page.locator("#message")).to_be_visible()
    expect(page.locator("#message-text")).to_contain_text("a.png was not saved.")


def test_another_film_is_announced(page: Page, films: Path, give: Give) -> None:
    give(page, films / "a.png", films / "b.png")
    expect(page.locator("#screen")).to_have_attribute("data-shown", "a.png field")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#status")).to_contain_text("b.png, film 2 of 2.")
