"""Films under every effect, through the judge, with an engine whose answer is known.

The film is 96 x 96: a tall dark lung (rows 24-71) in columns 12-35 and a short one (rows 24-59) in
columns 60-83, so that a mirrored film is not itself. The engine calls dark pixels lung, `down` rows
too low: of 48 + 36 rows of lung, 84 - 2 k are found rightly, so Dice is (84 - 2 k) / 84.
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
from pleura.lab.evaluate.case import Judge
from pleura.lab.evaluate.perturbation import PERTURBATIONS
from pleura.lab.evaluate.robustness import tabulate, try_films
from pleura.lab.evaluate.trial import Selection, Trial
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
class Told:
    """What one run said, and where."""

    table: dict[str, Any]
    out: Path
    steps: list[tuple[int, int]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A run over a (labels field), b (labels whole) and c (no picture)."""
    folder = tmp_path_factory.mktemp("set")
    rows = []
    for each, labels in (("a", "field"), ("b", "whole"), ("c", "field")):
        Image.fromarray(film()).save(folder / f"{each}.png")
        Image.fromarray(lungs()).save(folder / f"{each}_mask.png")
        names = {"id": each, "image": f"{each}.png", "mask": f"{each}_mask.png"}
        rows.append(names | {"split": "test", "source": f"{labels}s", "labels": labels})
    (folder / "c.png").write_bytes(b"no picture")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    out, steps = folder / "out", []
    trial = Trial(data=(folder,), command="as typed")
    table = robustness(trial, Shifted(), out, on_film=lambda *step: steps.append(step))
    return Told(table, out, steps)


def test_a_known_shift_scores_the_same_where_an_effect_is_undone(told):
    rows = told.table["overall"]
    assert list(rows) == ["none", *(each.name for each in PERTURBATIONS)]
    for name in ("none", "mirrored", "contrast_0.5"):
        assert rows[name]["dice"]["median"] == rows[name]["dice"]["mean"] == DICE, name
        assert rows[name]["difference"]["median"] == 0
        assert rows[name]["dice"]["share_under_090"] == 0.0
    # Stretching moves no row; edges between columns fall a pixel off at most.
    for name in ("wider_0.7", "wider_1.4", "longer_side_4000"):
        assert rows[name]["dice"]["median"] == pytest.approx(DICE, abs=0.02), name


def test_what_breaks_the_engine_shows_film_by_film(told):
    """On an inverted film dark is all but the lungs: next to nothing of them is found."""
    row = told.table["overall"]["inverted"]
    assert row["dice"]["mean"] < 0.2
    assert row["dice"]["share_under_090"] == 1.0
    assert row["difference"]["median"] == pytest.approx(row["dice"]["median"] - DICE, abs=1e-6)


def test_four_files_that_agree(told):
    assert told.table == json.loads((told.out / "robustness.json").read_text())
    assert told.table["provenance"]["command"] == "as typed"
    with (told.out / "robustness.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert float(rows["a"]["mirrored"]) == DICE
    assert {name: row["comparable"] for name, row in rows.items()} == {"a": "True", "b": "False"}
    with Image.open(told.out / "robustness.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 800
    page = (told.out / "robustness.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "None" not in page
    assert re.search(r'<th scope="row">mirrored left to right</th><td>1</td><td>0</td>', page)


def test_another_definition_stays_in_its_own_rows(told):
    assert told.table["overall"]["none"]["dice"]["n"] == 1
    assert told.table["by_source"]["wholes"]["none"]["dice"]["n"] == 1


def test_a_film_that_fails_is_told_and_the_rest_goes_on(told):
    assert [each["id"] for each in told.table["failures"]] == ["c"]
    assert told.table["films"]["scored"] == 2
    assert told.steps == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_film_refused_under_one_effect_is_counted_there(tmp_path):
    """320 x 64 becomes 128 x 26, where nobody can see a lung: below the smallest side."""
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
    found = try_films(Selection((known,), 0), Judge(Shifted()))
    table = tabulate(found)
    row = table["overall"]["longer_side_128"]
    assert (row["failed"], row["dice"]["n"], row["dice"]["share_under_090"]) == (1, 0, None)
    assert table["overall"]["mirrored"]["failed"] == 0
    assert table["films"] == {"scored": 1, "failed": 1, "without_mask": 0, "beyond_limit": 0}
    assert table["failures"][0]["error"].startswith("longer side 128 px: the picture is 128 x 26")
