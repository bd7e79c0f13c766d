"""Verdicts at the command line: told in the table, and made the exit code by `--strict`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def lone(films: Path, tmp_path: Path) -> Path:
    """A film with a single lung, and one with two."""
    folder = tmp_path / "some"
    folder.mkdir()
    film = np.array(Image.open(films / "a.png"))
    Image.fromarray(film).save(folder / "two.png")
    film[:, 64:] = 200 + np.arange(64) // 8
    Image.fromarray(film).save(folder / "one.png")
    return folder


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 4)])
def test_a_doubtful_film_is_written_and_reported(run, lone, tiny_weights, tmp_path, strict, code):
    out = tmp_path / "out"
    ended = run("segment", lone, "-o", out, "--weights", tiny_weights, "--json", *strict)
    assert ended.code == code
    with (out / "results.csv").open(newline="") as file:
        rows = {row["film"]: row for row in csv.DictReader(file)}
    assert (rows["one"]["verdict"], rows["one"]["doubts"]) == ("review", "one_lung_missing")
    assert (rows["two"]["verdict"], rows["two"]["doubts"]) == ("ok", "")
    assert (out / "one_mask.png").exists()
    records = {row["film"]: row for row in map(json.loads, ended.out.splitlines())}
    assert records["one"]["verdict"] == "review"
    assert records["one"]["estimated_dice"] is None  # not calibrated
    report = json.loads((out / "run.json").read_text())
    assert (report["review"], report["refused"]) == (1, 0)
    assert "review: " in ended.err
    assert "1 to review" in ended.err


def test_resumed_films_count_too(run, lone, tiny_weights, tmp_path):
    out = tmp_path / "out"
    arguments = ("segment", lone, "-o", out, "--weights", tiny_weights, "--strict")
    assert run(*arguments).code == 4
    assert run(*arguments, "--resume").code == 4


def test_only_good_films_succeed(run, lone, tiny_weights, tmp_path):
    ended = run("segment", lone / "two.png", "-o", tmp_path / "out", "--weights", tiny_weights,
                "--strict")  # fmt: skip
    assert ended.code == 0


def test_the_exit_code_of_a_failed_film_replaces_that_of_a_doubtful_one(
    run, lone, tiny_weights, tmp_path
):
    (lone / "bad.png").write_bytes(b"no picture")
    ended = run("segment", lone, "-o", tmp_path / "out", "--weights", tiny_weights, "--strict")
    assert ended.code == 3
