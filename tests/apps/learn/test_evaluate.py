"""`pleura evaluate` from the shell's side: files, tables, exit codes.

The films are 64 x 64 (the tiny network's side): dark lungs in rows 16-47, 32 px tall. The tiny
network calls dark lung, so a mask drawn 4 px too low gives Dice 28 / 32 = 0.875.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.apps.learn.drawn import film_and_low_mask

from pleura.io.run.table import read_rows

ACCEPT = ("--accept", "misplaced-mask")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """images/ and masks/ of a, b and c; d has no mask."""
    folder = tmp_path / "set"
    film, mask = film_and_low_mask()
    for name, image, ids in (("images", film, "abcd"), ("masks", mask, "abc")):
        (folder / name).mkdir(parents=True)
        for letter in ids:
            Image.fromarray(image).save(folder / name / f"{letter}.png")
    return folder


def test_writes_scores_summary_and_report(run, labelled, tiny_weights, tmp_path):
    out = tmp_path / "report"
    ended = run(
        "evaluate", *ACCEPT, labelled, "--split", "all", "--weights", tiny_weights, "-o", out
    )
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in out.iterdir()) == [
        "report.html",
        "scores.csv",
        "summary.json",
    ]
    with (out / "scores.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["id"], row["structure"], row["dice"]) for row in table] == [
        (film, structure, "0.875") for film in "abc" for structure in ("lungs", "right", "left")
    ]
    segmented = run("segment", labelled / "images", "-o", out / "s", "--weights", tiny_weights)
    assert segmented.code == 0
    (uncertainty,) = {row["uncertainty"] for row in table}
    assert uncertainty == str(read_rows(out / "s/results.csv")[0].uncertainty)
    assert ended.out == ""  # stdout is for machines
    assert re.search(r"lungs +3 +0 +0\.875", ended.err)
    assert "scored 3, without mask 1" in ended.err
    assert str(out / "report.html") in ended.err


def test_the_table_is_printed_in_full_where_it_is_wider_than_the_screen(
    run, labelled, tiny_weights, tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "50")
    wide = labelled.rename(tmp_path / "a-hospital-with-a-long-name")
    options = ("--split", "all", "--weights", tiny_weights, "-o", tmp_path / "report")
    ended = run("evaluate", *ACCEPT, wide, *options)
    assert ended.code == 0, ended.err
    lines = [line.split() for line in ended.err.splitlines()]
    (head,) = (line for line in lines if line[:1] == ["films"])
    assert head[-3:] == ["HD95", "px", "area"]
    (source,) = (line for line in lines if line[0] == "a-hospital-with-a-long-name")
    # The mask is as large as the lungs, and 4 px too low.
    assert source[1:3] == ["3", "0"]
    assert source[-2:] == ["4.0", "+0.0%"]


@pytest.mark.skipif(sys.platform != "linux", reason="macOS and Windows have no such names")
def test_names_that_are_not_utf8(run, labelled, tiny_weights, tmp_path):
    """That of a film, and that of the folder, which the page and the summary state."""
    name = os.fsdecode(b"na\xefve")
    for kind in ("images", "masks"):
        (labelled / kind / "a.png").rename(labelled / kind / f"{name}.png")
    folder = labelled.rename(tmp_path / name)
    options = ("--split", "all", "--weights", tiny_weights)
    for number in (1, 2):
        out = tmp_path / f"report{number}"
        more = () if number == 1 else ("--compare", tmp_path / "report1" / "scores.csv")
        ended = run("evaluate", *ACCEPT, folder, *options, "-o", out, *more)
        assert ended.code == 0, ended.err
        with (out / "scores.csv").open(newline="", encoding="utf-8") as file:
            assert {row["id"] for row in csv.DictReader(file)} == {"na%xEFve", "b", "c"}
        assert "na%xEFve" in (out / "report.html").read_text(encoding="utf-8")
    assert "paired on 3 films" in ended.err
    assert run("data", "split", folder, "-o", tmp_path / "split.csv").code == 0
    assert "na%xEFve" in (tmp_path / "split.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["evaluate", "robustness", "calibrate"])
def test_an_output_that_takes_no_files_is_named_before_any_film_is_scored(
    run, labelled, tiny_weights, tmp_path, command
):
    out = tmp_path / "report"
    out.write_text("a file")
    options = ("--split", "all", "--weights", tiny_weights, "-o", out)
    ended = run(command, *ACCEPT, labelled, *options)
    assert ended.code == 1
    assert ended.err.startswith(f"pleura: cannot write {out}: Not a directory; move away what is")


def test_json_is_the_summary_alone(run, labelled, tiny_weights, tmp_path):
    out = tmp_path / "report"
    ended = run(
        "evaluate",
        *ACCEPT,
        labelled,
        "--split=all",
        "--weights",
        tiny_weights,
        "-o",
        out,
        "--json",
        "-q",
    )
    assert json.loads(ended.out) == json.loads((out / "summary.json").read_text())
    assert "scoring" not in ended.err


def test_a_failed_film_is_named_and_sets_the_exit_code(run, labelled, tiny_weights, tmp_path):
    (labelled / "images" / "b.png").write_bytes(b"no picture")
    ended = run(
        "evaluate",
        *ACCEPT,
        labelled,
        "--split",
        "all",
        "--weights",
        tiny_weights,
        "-o",
        tmp_path / "out",
    )
    assert ended.code == 3
    assert re.search(r"^\S+/b: .*expected", ended.err, re.MULTILINE)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["films"]["scored"] == 2


def test_a_comparison_with_itself_has_no_difference(run, labelled, tiny_weights, tmp_path):
    common = ("evaluate", *ACCEPT, labelled, "--split", "all", "--weights", tiny_weights)
    assert run(*common, "-o", tmp_path / "one").code == 0
    first = tmp_path / "one" / "scores.csv"
    ended = run(*common, "-o", tmp_path / "two", "--compare", first, "--json")
    difference = json.loads(ended.out)["comparison"]["difference"]["lungs"]["dice"]
    assert (difference["n"], difference["mean"], difference["ties"]) == (3, 0.0, 3)
    assert re.search(r"Dice of the lungs, paired on 3 films: \+0\.0000", ended.err)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--split", "nowhere"], 2, "no film of split 'nowhere' has a mask"),
        (["--split", "all", "--lungs", "whole"], 2, "'field', not 'whole'"),
        (["--split", "all", "--limit", "0"], 2, "limit"),
        (["--split", "all", "--layout", "odd"], 2, "unknown layout 'odd'"),
        (["--split", "all", "--compare", "none.csv"], 2, "none.csv: cannot be read"),
    ],
)
def test_wrong_options_end_with_a_line(
    run, labelled, tiny_weights, tmp_path, options, code, message
):
    ended = run(
        "evaluate", *ACCEPT, labelled, "--weights", tiny_weights, "-o", tmp_path / "out", *options
    )
    assert ended.code == code
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


def test_missing_weights_end_with_5(run, labelled, tmp_path):
    ended = run(
        "evaluate", *ACCEPT, labelled, "--weights", tmp_path / "none.onnx", "-o", tmp_path / "out"
    )
    assert ended.code == 5
    assert "none.onnx" in ended.err


def test_the_effect_of_clean_up_can_be_measured(run, labelled, tiny_weights, tmp_path):
    """A dark speck in the corner: gone from what ships, and far from the lung in what does not."""
    for path in (labelled / "images").iterdir():
        film = np.asarray(Image.open(path)).copy()
        film[2:5, 30:33] = 40
        Image.fromarray(film).save(path)
    scores = {}
    for option in ("--cleaned", "--no-cleaned"):
        out = tmp_path / option
        given = ("--split=all", "--weights", tiny_weights, "-o", out, "-q", option)
        assert run("evaluate", *ACCEPT, labelled, *given).code == 0
        summary = json.loads((out / "summary.json").read_text())
        assert summary["provenance"]["cleaned"] is (option == "--cleaned")
        scores[option] = summary["overall"]["lungs"]["dice"]["mean"]
    # 1792 of 2 x 1024 truth and prediction; the speck adds 9 to the prediction.
    assert scores["--cleaned"] == pytest.approx(0.875)
    assert scores["--no-cleaned"] == pytest.approx(2 * 896 / (1024 + 1024 + 9), abs=1e-6)
