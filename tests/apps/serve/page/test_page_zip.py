"""All results of the page in one zip file."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from pleura.io.run.report import Run

Give = Callable[..., None]


def saved_zip(page: Page) -> zipfile.ZipFile:
    with page.expect_download() as download:
        page.click("#zip")
    assert download.value.suggested_filename == "pleura.zip"
    return zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))


def test_the_zip_file_has_what_the_command_line_writes(
    page: Page,
    films: Path,
    tiny_weights: Path,
    run: Callable[..., Any],
    tmp_path: Path,
    give: Give,
) -> None:
    options = ["--weights", tiny_weights, "-f", "mask,overlay", "--no-progress", "--threads", 1]
    assert (
        run("segment", films / "a.png", films / "b.png", "-o", tmp_path / "out", *options).code == 0
    )
    give(page, films / "a.png", films / "b.png", films / "notes.txt")
    with saved_zip(page) as archive:
        assert archive.testzip() is None
        names = {f"{film}_{kind}.png" for film in "ab" for kind in ("mask", "overlay")}
        tables = {"results.csv", "results.json", "review.csv", "run.json"}
        assert set(archive.namelist()) == names | tables
        for name in names:
            assert archive.read(name) == (tmp_path / "out" / name).read_bytes()
        rows = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
        assert [row["status"] for row in rows] == ["done", "done", "failed"]
        report = Run(**json.loads(archive.read("run.json")))
        of_command = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (report.found, report.done, report.failed) == (3, 2, 1)
    for name in ("version", "weights", "weights_sha256", "definition", "flip"):
        assert getattr(report, name) == of_command[name]
    expect(page.locator("#zip")).to_have_text("Zip")


def test_the_files_are_dated_with_the_local_time(page: Page, films: Path, give: Give) -> None:
    """The zip format has the year, month, day, hour, minute, and second in steps of two."""
    page.clock.set_fixed_time(datetime(2031, 12, 31, 23, 58, 59))
    give(page, films / "a.png")
    page.click("#accept")
    page.keyboard.press("t")
    with page.expect_download() as download:
        page.click('[data-save="corrections"]')
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(2031, 12, 31, 23, 58, 58)}


def test_the_report_names_the_options_of_each_film_where_they_differ(
    page: Page, films: Path, give: Give
) -> None:
    give(page, films / "a.png")
    page.click("#flip")
    expect(page.locator("#flip")).to_have_attribute("aria-pressed", "true")
    give(page, films / "b.png")
    with saved_zip(page) as archive:
        report = json.loads(archive.read("run.json"))
    assert report["flip"] is None
    assert report["definition"] == "field"
    assert report["options"]["films"] == {
        "a": {"definition": "field", "flip": True},
        "b": {"definition": "field", "flip": False},
    }


def test_films_that_differ_in_the_suffix_only_have_results_of_two_names(
    page: Page, films: Path, tmp_path: Path, give: Give
) -> None:
    """As the command line names them."""
    Image.open(films / "a.png").save(tmp_path / "a.bmp")
    give(page, films / "a.png", tmp_path / "a.bmp")
    with saved_zip(page) as archive:
        assert {"a_png_mask.png", "a_bmp_mask.png"} <= set(archive.namelist())


def test_a_file_that_cannot_be_made_is_named_and_the_others_are_saved(
    page: Page, films: Path, give: Give
) -> None:
    give(page, films / "a.png", films / "b.png")
    page.route("**/v1/segmentations*format=overlay*", lambda route: route.abort())
    with saved_zip(page) as archive:
        assert {"a_mask.png", "b_mask.png", "results.csv"} <= set(archive.namelist())
    expect(page.locator("#message-text")).to_contain_text("2 files are missing in the zip file")
    expect(page.locator("#message-text")).to_contain_text("a.png (overlay)")
