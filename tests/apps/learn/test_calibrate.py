"""`pleura calibrate` from the shell's side."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from tests.apps.learn.drawn import save_film_and_low_mask

from pleura.runtime.engine import OnnxEngine


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """One film to tune on and one to judge on, with masks that lie 4 rows too low."""
    folder = tmp_path / "set"
    save_film_and_low_mask(folder)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "mask", "split", "source"])
        writer.writerows(
            [[name, "film.png", "mask.png", name, "drawn"] for name in ("val", "test")]
        )
    return folder


def test_prints_the_figures_and_writes_the_report(run, labelled, tiny_weights, tmp_path):
    out, hot = tmp_path / "report", tmp_path / "hot.onnx"
    options = ("--weights", tiny_weights, "-o", out, "--write", hot, "--json")
    ended = run("calibrate", labelled, *options)
    assert ended.code == 0, ended.err
    assert {path.name for path in out.iterdir()} == {
        f"calibration.{kind}" for kind in ("html", "json", "png")
    }
    figures = json.loads(ended.out)
    assert figures == json.loads((out / "calibration.json").read_text())
    assert figures["temperature"] > 1  # an eighth of each lung is wrong, and was said surely
    assert OnnxEngine(hot.read_bytes()).card.temperature == figures["temperature"]
    assert re.search(r"^temperature [\d.]+, chosen on val$", ended.err, re.MULTILINE)
    assert re.search(r"^drawn +2000 ", ended.err, re.MULTILINE)


def test_a_limit_leaves_out_films_to_score_and_none_to_tune_on(
    run, labelled, tiny_weights, tmp_path
):
    for name, split in (("val2", "val"), ("val3", "val"), ("test2", "test")):
        with (labelled / "manifest.csv").open("a", newline="") as file:
            csv.writer(file).writerow([name, "film.png", "mask.png", split, "drawn"])
    options = ("--limit", 1, "--weights", tiny_weights, "-o", tmp_path / "out", "--json")
    ended = run("calibrate", labelled, *options)
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert (figures["tuning"]["films"], figures["films"]["judged"]) == (3, 1)


def test_one_split_for_both_is_wrong_usage(run, labelled, tiny_weights, tmp_path):
    options = ("--tune", "test", "--weights", tiny_weights, "-o", tmp_path / "out")
    ended = run("calibrate", labelled, *options)
    assert ended.code == 2
    assert "name two splits that share no film" in ended.err
