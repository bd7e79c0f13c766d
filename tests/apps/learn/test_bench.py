"""`pleura bench` and `pleura card` from the shell's side."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.apps.learn.drawn import save_film_and_low_mask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one set of one film, whose mask lies 4 rows of 32 too low."""
    folder = tmp_path / "data" / "drawn"
    save_film_and_low_mask(folder)
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "image", "mask", "split"], ["a", "film.png", "mask.png", "test"]]
        )
    return folder.parent


def test_from_the_sets_to_the_card(run, root, tiny_weights, tmp_path):
    results, page = tmp_path / "results", tmp_path / "model_card.md"
    options = ("--weights", tiny_weights, "-o", results, "--reports", tmp_path / "reports")
    ended = run("bench", root, *options)
    assert ended.code == 0, ended.err
    assert ended.out == f"{results / 'drawn_test.json'}\n"
    assert "scoring drawn_test" in ended.err
    assert run("card", results, "-o", page).code == 0
    assert run("card", results).out == page.read_text()
    assert "| lungs | 1 | 0.875 |" in page.read_text()


def test_a_set_of_another_definition_is_scored_and_not_calibrated(
    run, root, tiny_weights, tmp_path
):
    table = root / "drawn" / "manifest.csv"
    rows = [["id", "image", "mask", "split", "labels"]]
    rows += [[part, "film.png", "mask.png", part, "whole"] for part in ("val", "test")]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    reports = ("--reports", tmp_path / "reports", "--weights", tiny_weights)
    ended = run("bench", root, *reports, "--calibrated", "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    assert ended.out == f"{tmp_path / 'results' / 'drawn_test.json'}\n"
    # Asked for by itself, the calibration says why there is none.
    ended = run("calibrate", root / "drawn", "--weights", tiny_weights, "-o", tmp_path / "out")
    assert ended.code == 2
    assert "the 1 films to tune on label left_whole, right_whole, whole, and these weights" in (
        ended.err
    )


def test_a_folder_without_results_is_wrong_usage(run, tmp_path):
    ended = run("card", tmp_path)
    assert ended.code == 2
    assert "no result here" in ended.err
