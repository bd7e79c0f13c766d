"""Films under every perturbation, with an engine of known results.

The film is 96 x 96: a tall dark lung (rows 24-71) in columns 12-35 and a short one (rows 24-59) in
columns 60-83, so that a mirrored film differs. The engine predicts the dark pixels `down` rows too
low: of 48 + 36 rows of lung, 84 - 2 k are right, so Dice is (84 - 2 k) / 84.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.core.card import Card
from pleura.core.types import Radiograph
from pleura.lab.data.film import Film, MaskPart
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.evaluation import EvaluationSettings, Selection
from pleura.lab.evaluate.perturbation import PERTURBATIONS
from pleura.lab.evaluate.robustness import tabulate, try_films
from pleura.lab.report.robustness import robustness

SIDE = 96
DICE = round(78 / 84, 6)  # three rows too low
CARD = Card(name="known", version="0.1.0", channels=("field",), side=SIDE)


@dataclass
class Shifted:
    """An engine that finds the dark pixels `down` rows too low."""

    down: int = 3
    name: str = "known 1.0"
    weights_sha256: str = "ab" * 32
    card: Card = field(default_factory=lambda: CARD)

    def predict(self, batch: np.ndarray) -> np.ndarray:
        return np.roll(batch < 0.5, self.down, axis=2).astype(np.float32)


def lungs() -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[24:72, 12:36] = mask[24:60, 60:84] = 255
    return mask


def film() -> np.ndarray:
    return np.where(lungs(), 40, 200 + np.arange(SIDE) // 6).astype(np.uint8)


@dataclass
class Run:
    """The result of one run, and its folder."""

    table: dict[str, Any]
    out: Path
    steps: list[tuple[int, int]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on a (labelled field), b (labelled whole) and c (no picture)."""
    folder = tmp_path_factory.mktemp("set")
    rows = []
    for name, labels in (("a", "field"), ("b", "whole"), ("c", "field")):
        Image.fromarray(film()).save(folder / f"{name}.png")
        Image.fromarray(lungs()).save(folder / f"{name}_mask.png")
        names = {"id": name, "image": f"{name}.png", "mask": f"{name}_mask.png"}
        rows.append(names | {"split": "test", "source": f"{labels}s", "labels": labels})
    (folder / "c.png").write_bytes(b"no picture")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    out, steps = folder / "out", []
    settings = EvaluationSettings(data=(folder,), command="as typed")
    table = robustness(settings, Shifted(), out, on_film=lambda *step: steps.append(step))
    return Run(table, out, steps)


def test_perturbations_that_the_path_undoes_change_no_dice(run):
    rows = run.table["overall"]
    assert list(rows) == ["none", *(effect.name for effect in PERTURBATIONS)]
    for name in ("none", "mirrored", "contrast_0.5"):
        assert rows[name]["dice"]["median"] == rows[name]["dice"]["mean"] == DICE, name
        assert rows[name]["difference"]["median"] == 0
        assert rows[name]["dice"]["share_under_090"] == 0.0
    # Stretching moves no row; edges between columns fall a pixel off at most.
    for name in ("wider_0.7", "wider_1.4", "longer_side_4000"):
        assert rows[name]["dice"]["median"] == pytest.approx(DICE, abs=0.02), name


def test_an_inverted_film_has_a_low_dice(run):
    """On an inverted film everything but the lungs is dark, so almost no lung pixel is found."""
    row = run.table["overall"]["inverted"]
    assert row["dice"]["mean"] < 0.2
    assert row["dice"]["share_under_090"] == 1.0
    assert row["difference"]["median"] == pytest.approx(row["dice"]["median"] - DICE, abs=1e-6)


def test_the_four_files_agree(run):
    assert run.table == json.loads((run.out / "robustness.json").read_text())
    assert run.table["provenance"]["command"] == "as typed"
    with (run.out / "robustness.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert float(rows["a"]["mirrored"]) == DICE
    assert {name: row["comparable"] for name, row in rows.items()} == {"a": "True", "b": "False"}
    with Image.open(run.out / "robustness.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
    page = (run.out / "robustness.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "None" not in page
    assert re.search(r'<th scope="row">mirrored left to right</th><td>1</td><td>0</td>', page)


def test_another_definition_stays_in_its_own_rows(run):
    assert run.table["overall"]["none"]["dice"]["n"] == 1
    assert run.table["by_source"]["wholes"]["none"]["dice"]["n"] == 1


def test_a_failed_film_is_listed_and_the_others_are_scored(run):
    assert [failure["id"] for failure in run.table["failures"]] == ["c"]
    assert run.table["films"]["scored"] == 2
    assert run.steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_film_that_fails_under_one_perturbation_is_counted_there(tmp_path):
    """320 x 64 becomes 128 x 26, which is below the smallest side of a film."""
    narrow = Image.fromarray(lungs()).resize((64, 320), Image.Resampling.NEAREST)
    narrow.save(tmp_path / "mask.png")
    pixels = 255 - np.asarray(narrow, np.float32)
    known = Film(
        id="a",
        source="drawn",
        image=tmp_path / "a.png",
        masks=(MaskPart(tmp_path / "mask.png", "field"),),
        decode=lambda _path: Radiograph(pixels),
    )
    outcome = try_films(Selection((known,), 0), Evaluator(Shifted()))
    table = tabulate(outcome)
    row = table["overall"]["longer_side_128"]
    assert (row["failed"], row["dice"]["n"], row["dice"]["share_under_090"]) == (1, 0, None)
    assert table["overall"]["mirrored"]["failed"] == 0
    assert table["films"] == {"scored": 1, "failed": 1, "without_mask": 0, "beyond_limit": 0}
    assert table["failures"][0]["error"].startswith("longer side 128 px: the picture is 128 x 26")
