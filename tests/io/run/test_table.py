from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.errors import OutputError, UsageError
from pleura.core.types import Segmentation
from pleura.io.run.report import Run, write_run
from pleura.io.run.row import COLUMNS, Row, done_row, failed_row
from pleura.io.run.table import Table, read_names, read_rows

APPENDER = """
import sys
from pathlib import Path
from pleura.io.run.row import Row
from pleura.io.run.table import Table
with Table(Path(sys.argv[1]), resume=True) as table:
    for n in range(len(table.rows), 10**6):
        table.add(Row(film=f"film{n:06}", path="p" * 500, status="done", height=n, notes="é;,\\n"))
"""


def rows_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def some_rows(count: int) -> list[Row]:
    return [
        Row(film=f"é/{n}", path=f"/x/é, {n}.png", status="done", height=n, seconds=n / 4)
        for n in range(count)
    ]


def test_a_done_row_holds_the_measurements(segmentation: Segmentation) -> None:
    row = done_row(
        segmentation,
        PurePath("sub/film"),
        path=PurePath("/data/film.png"),
        mask=PurePath("sub/film_mask.png"),
        seconds=1.25,
    )
    cells = dict(zip(COLUMNS, row.cells(), strict=True))
    expected = {
        "film": "sub/film",
        "path": "/data/film.png",
        "status": "done",
        "mask": "sub/film_mask.png",
        "verdict": "ok",
        "estimated_dice": "0.97",
        "uncertainty": "0.0312",
        "doubts": "",
        "height": "64",
        "width": "48",
        "view": "PA",
        "right_area_px": "200",  # 20 x 10
        "left_area_px": "192",  # 24 x 8
        "lungs_area_px": "392",
        "lungs_share": "0.127604",  # 392 / 3072
        "right_to_left_ratio": "1.04167",  # 200 / 192
        "right_area_cm2": "0.25",  # 200 x 0.5 mm x 0.25 mm = 25 mm2
        "left_area_cm2": "0.24",
        "lungs_area_cm2": "0.49",
        "spacing_row_mm": "0.5",
        "spacing_col_mm": "0.25",
        "spacing_source": "user",
        "right_box": "10 5 30 15",
        "left_box": "12 30 36 38",
        "lungs_box": "10 5 36 38",
        "heart_area_px": "270",  # 15 x 18
        "heart_verdict": "",  # none was given in this fixture
        "heart_doubts": "",
        "uid": "",  # only where it was asked for
        "seconds": "1.25",
        "notes": "a note; another",  # each once
        "error": "",
    }
    assert {name: cells[name] for name in expected} == expected
    # Heart 18 columns wide; lungs from column 5 to 38: 18 / 33.
    assert cells["cardiothoracic_ratio"] == "0.545455"
    assert set(COLUMNS) == {*expected, "cardiothoracic_ratio"}


def test_an_undefined_value_is_an_empty_cell() -> None:
    row = failed_row(PurePath("film"), path=PurePath("film.png"), error="cut\nshort")
    cells = dict(zip(COLUMNS, row.cells(), strict=True))
    full = {name: cell for name, cell in cells.items() if cell}
    assert full == {
        "film": "film",
        "path": "film.png",
        "status": "failed",
        "error": "cut short",
    }


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)


@given(
    st.builds(
        Row,
        film=st.text(st.characters(exclude_categories=["Cs"])),
        path=st.text(st.characters(exclude_categories=["Cs"])),
        status=st.sampled_from(["done", "failed"]),
        mask=TEXT.filter(bool) | st.none(),
        height=st.integers(0, 10**6) | st.none(),
        lungs_share=st.integers(0, 1000).map(lambda n: n / 1000) | st.none(),
        notes=TEXT,
        error=TEXT,
    )
)
def test_a_row_is_read_back_from_its_cells(row: Row) -> None:
    assert Row.from_cells(dict(zip(COLUMNS, row.cells(), strict=True))) == row


def test_a_row_as_json_has_its_boxes_as_arrays() -> None:
    row = Row(film="=a\nb", path="/x", status="done", lungs_box="10 5 36 38", height=64)
    values = row.as_json()
    assert (values["lungs_box"], values["right_box"]) == ([10, 5, 36, 38], None)
    assert (values["film"], values["height"], values["uid"]) == ("=a\nb", 64, None)
    assert set(values) == set(COLUMNS)


def test_numbers_stay_numbers_and_names_are_no_formulas() -> None:
    row = Row(film="=a\nb", path="+x", status="done", lungs_share=-0.5, notes="-n", error="@e\n")
    cells = dict(zip(COLUMNS, row.cells(), strict=True))
    assert (cells["film"], cells["path"], cells["lungs_share"]) == ("'=a%0Ab", "'+x", "-0.5")
    assert (cells["notes"], cells["error"]) == ("'-n", "'@e ")


def test_the_table_is_sorted_and_each_film_comes_once(tmp_path: Path) -> None:
    with Table(tmp_path / "out") as table:
        table.add(failed_row(PurePath("b"), path=PurePath("b.png"), error="no"))
        table.add(Row(film="c", path="c.png", status="done"))
        table.add(Row(film="a", path="a.png", status="done"))
        table.add(Row(film="b", path="b.png", status="done"))
        assert [row["film"] for row in rows_in(table.path)] == ["b", "c", "a", "b"]  # as they come
    assert [(row["film"], row["status"]) for row in rows_in(tmp_path / "out" / "results.csv")] == [
        ("a", "done"),
        ("b", "done"),
        ("c", "done"),
    ]


def test_resume_begins_with_what_is_there_and_a_new_run_does_not(tmp_path: Path) -> None:
    with Table(tmp_path) as table:
        for row in some_rows(3):
            table.add(row)
    before = table.path.read_bytes()
    with Table(tmp_path, resume=True) as table:
        assert table.rows == {row.film: row for row in some_rows(3)}
    assert table.path.read_bytes() == before
    with Table(tmp_path) as table:
        assert table.rows == {}
    assert rows_in(table.path) == []


def test_a_table_cut_at_any_byte_gives_the_rows_before_the_cut(tmp_path: Path) -> None:
    with Table(tmp_path) as table:
        for row in some_rows(3):
            table.add(row)
    content = table.path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        table.path.write_bytes(content[:cut])
        rows_left = max(0, sum(end <= cut for end in ends) - 1)  # one line is the header
        assert read_rows(table.path) == some_rows(3)[:rows_left], cut


def test_lines_that_are_no_rows_are_left_out(tmp_path: Path) -> None:
    with Table(tmp_path) as table:
        table.add(some_rows(1)[0])
    good = table.path.read_bytes()
    broken = ",".join(
        {"film": "x", "path": "y", "height": "tall"}.get(name, "") for name in COLUMNS
    )
    table.path.write_bytes(good + b"a,b\n" + broken.encode() + b"\n\0\0\n\n")
    assert read_rows(table.path) == some_rows(1)


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    """With line ends of Windows, and with quotes around every cell."""
    rows = [replace(row, notes="a") for row in some_rows(2)]
    with Table(tmp_path) as table:
        table.add(*rows)
    lines = table.path.read_text(encoding="utf-8").splitlines()
    table.path.write_text("".join(f"{line}\r\n" for line in lines), newline="", encoding="utf-8")
    assert read_rows(table.path) == rows
    quoted = [",".join(f'"{cell}"' for cell in cells) for cells in csv.reader(lines)]
    table.path.write_text("".join(f"{line}\n" for line in quoted), encoding="utf-8")
    assert read_rows(table.path) == rows
    assert list(read_names(table.path).items()) == [(row.path, row.film) for row in rows]


def test_what_decides_whether_a_film_is_finished(tmp_path: Path) -> None:
    with Table(tmp_path) as table:
        table.add(Row(film="a", path="=/x, y", status="done", verdict="ok", lungs_area_px=7))
        assert table.rows.summary("a") == ("=/x, y", "done", "ok", "7")
        assert table.rows.summary("b") is None


def test_a_table_of_another_version_is_not_mixed_with_ours(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("film,area\na,1\n")
    with pytest.raises(UsageError, match="other columns than this version writes; segment the"):
        Table(tmp_path, resume=True)
    assert (tmp_path / "results.csv").read_text() == "film,area\na,1\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(OutputError, match=r"cannot write .*results\.csv"):
        Table(tmp_path / "out")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_kill_9_again_and_again_loses_no_finished_row(tmp_path: Path) -> None:
    finished = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path)]) as appender:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline and appender.poll() is None:
                time.sleep(0.01)
                table = tmp_path / "results.csv"
                if table.exists() and table.read_bytes().count(b"\n") > finished + 20:
                    break
            seen = read_rows(tmp_path / "results.csv")
            appender.send_signal(signal.SIGKILL)
        rows = read_rows(tmp_path / "results.csv")
        assert len(rows) >= len(seen) > finished  # what was on the disk once stays there
        assert [row.height for row in rows] == list(range(len(rows)))  # none lost, none twice
        finished = len(rows)
    with Table(tmp_path, resume=True) as table:
        assert len(table.rows) == finished
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_run_report(tmp_path: Path) -> None:
    run = Run(
        version="1",
        weights="w",
        weights_sha256="0" * 64,
        engine="none",
        definition="field",
        options={"out": Path("é"), "overlay": True},
        status="complete",
        found=3,
        done=2,
        failed=1,
        skipped=0,
        started="2026-01-01T00:00:00+00:00",
        seconds=1.5,
    )
    path = write_run(tmp_path / "out", run)
    assert path == tmp_path / "out" / "run.json"
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["options"] == {"out": "é", "overlay": True}
    assert (report["found"], report["done"], report["failed"], report["skipped"]) == (3, 2, 1, 0)
