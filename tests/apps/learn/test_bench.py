"""`pleura bench` and `pleura card` from the shell's side."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE = 64


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one set of one film, whose mask lies 4 rows of 32 too low."""
    folder = tmp_path / "data" / "drawn"
    folder.mkdir(parents=True)
    film = np.tile((200 + np.arange(SIDE) // 4).astype(np.uint8), (SIDE, 1))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for columns in (slice(8, 24), slice(40, 56)):
        film[16:48, columns] = 40
        mask[20:52, columns] = 255
    Image.fromarray(film).save(folder / "film.png")
    Image.fromarray(mask).save(folder / "mask.png")
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


def test_a_folder_without_results_is_wrong_usage(run, tmp_path):
    ended = run("card", tmp_path)
    assert ended.code == 2
    assert "no result here" in ended.err
