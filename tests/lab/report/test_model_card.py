"""From a folder of data sets to results and the model card, with an engine of known results.

Two dark lungs of 48 rows, predicted 3 rows too low: Dice 45 / 48 = 0.9375. Set `one` has films of
splits val and test, set `two` of train only; `three` has no manifest.
"""

from __future__ import annotations

import copy
import csv
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.core.card import Card
from pleura.core.errors import DataError, UsageError
from pleura.lab.evaluate.evaluation import read_rows
from pleura.lab.evaluate.metrics import Scores
from pleura.lab.report.model_card import model_card, read_remarks, read_results
from pleura.lab.studies.bench import Bench, likely_reason, run_bench, worst

SIDE = 96
CARD = Card(name="known", version="0.1.0", channels=("field",), side=SIDE)


@dataclass
class Shifted:
    """An engine that finds the dark pixels three rows too low."""

    card: Card = field(default_factory=lambda: CARD)
    name: str = "known 1.0"
    weights_sha256: str = "ab" * 32

    def predict(self, batch: np.ndarray) -> np.ndarray:
        return np.roll(batch < 0.5, 3, axis=2).astype(np.float32)


def write_set(folder: Path, films: dict[str, str]) -> None:
    """A set of the given films: id -> split."""
    folder.mkdir()
    lungs = np.zeros((SIDE, SIDE), np.uint8)
    lungs[24:72, 12:36] = lungs[24:72, 60:84] = 255
    film = np.where(lungs, 40, 200 + np.arange(SIDE) // 6).astype(np.uint8)
    Image.fromarray(film).save(folder / "film.png")
    Image.fromarray(lungs).save(folder / "mask.png")
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "mask", "split", "source", "condition"])
        for name, split in films.items():
            writer.writerow([name, "film.png", "mask.png", split, "s|t", "normal"])


@dataclass
class Made:
    root: Path
    results: Path
    written: list[Path]
    reports: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("data")
    write_set(root / "one", {"a": "test", "b": "val", "c": "test"})
    write_set(root / "two", {"d": "train"})
    (root / "three").mkdir()
    results, reports = root.parent / "kept-results", root.parent / "kept-reports"
    bench = Bench(root=root, calibrated=True, bare=True, command=f"pleura bench {root}")
    return Made(root, results, run_bench(bench, Shifted(), results, reports=reports), reports)


def test_every_split_of_every_set_is_scored(made):
    assert [path.name for path in made.written] == [
        "one_test.json",
        "one_test_bare.json",
        "one_test_calibration.json",
    ]
    assert (made.reports / "one_test" / "report.html").exists()
    result = json.loads(made.written[0].read_text())
    assert result["overall"]["lungs"]["dice"]["mean"] == 0.9375
    assert [entry["id"] for entry in result["worst"]["s|t"]] == ["a", "c"]
    assert result["worst"]["s|t"][0]["why"] == "the area is right, the outline is not"


def test_a_result_has_no_path_of_this_machine(made):
    for path in made.written:
        result = json.loads(path.read_text())
        assert str(made.root) not in path.read_text()
        assert result["provenance"]["data"]["sets"] == ["DATA/one"]
        assert result["provenance"]["command"] == "pleura bench DATA"


def test_no_films_to_score_is_an_error(made, tmp_path):
    bench = Bench(root=made.root, splits=("nowhere",))
    with pytest.raises(DataError, match="with masks for films of nowhere"):
        run_bench(bench, Shifted(), tmp_path, reports=tmp_path)


def test_the_likely_reason_follows_from_the_scores(made):
    row = read_rows(made.reports / "one_test" / "scores.csv")[0]
    assert likely_reason(replace(row, case="missed")) == "no lung found"
    assert likely_reason(replace(row, predicted_definition="whole")) == "another definition of lung"
    assert (
        likely_reason(replace(row, scores=Scores(dice=0.5, area_error=-0.2))) == "too little lung"
    )
    assert likely_reason(replace(row, scores=Scores(dice=0.5, area_error=0.2))) == "too much lung"
    poor = [replace(row, id=f"{n:02}", scores=Scores(dice=n / 100)) for n in range(12)]
    assert [entry["id"] for entry in worst(poor[::-1])["s|t"]] == [f"{n:02}" for n in range(10)]


def test_the_card_has_the_numbers_of_the_results(made):
    page = model_card(read_results(made.results))
    assert page.startswith("<!-- Written by `pleura card`")
    assert "SHA-256 `" + "ab" * 32 + "`" in page
    dice = "0.938 | 0.938 | 0.938 | 0.938 | 0.0% | 3.0 | +0.000 |"
    assert f"| lungs | 2 | {dice}" in page
    assert f"| lungs, s\\|t / normal | 2 | {dice}" in page
    assert "| a | normal | 0.938 | 3.0 | +0.000 | the area is right, the outline is not |" in page
    assert "films of split val; the weights have 1." in page
    assert "## Robustness" in page
    assert "Not measured for these weights." in page  # robustness
    assert "must not be used for" in page
    assert "None" not in page
    assert "{" not in page


def test_every_row_of_a_table_has_the_same_width(made):
    page = model_card(read_results(made.results))
    widths: list[int] = []
    for line in page.replace("\\|", "").splitlines():
        widths = [*widths, line.count("|")] if line.startswith("|") else []
        assert len(set(widths)) <= 1, line


def robustness_result(result: dict[str, Any]) -> dict[str, Any]:
    dice = copy.deepcopy(result["overall"]["lungs"]["dice"])
    row = {"failed": 0, "dice": dice, "difference": {**dice, "median": -0.0125}}
    rows = {"inverted": row}
    effects = {"inverted": "greys inverted"}
    tables = {"overall": rows, "by_source": {"s": rows}, "effects": effects}
    return {"provenance": result["provenance"], **tables}


def test_robustness_is_in_its_section(made):
    results = read_results(made.results)
    page = model_card({**results, "one_robustness": robustness_result(results["one_test"])})
    section = page.partition("## Robustness")[2].partition("## Calibration")[0]
    assert "| greys inverted | 2 | 0 | 0.938 | 0.938 | 0.0% | −0.0125 |" in section
    assert "Not measured" not in section


def test_results_of_other_weights_or_none_are_refused(made, tmp_path):
    results = read_results(made.results)
    other = copy.deepcopy(results["one_test"])
    other["provenance"]["weights"]["sha256"] = "cd" * 32
    with pytest.raises(UsageError, match="of 2 different weights"):
        model_card({**results, "other": other})
    with pytest.raises(UsageError, match="no result here"):
        read_results(tmp_path)
    (tmp_path / "odd.json").write_text("[]")
    with pytest.raises(UsageError, match=r"odd\.json: no result"):
        read_results(tmp_path)


def test_remarks_are_shown_beside_the_film(made, tmp_path):
    (tmp_path / "remarks.csv").write_text("id,remark\na,the mask takes in the heart\n")
    page = model_card(read_results(made.results), read_remarks(tmp_path))
    [seen] = [line for line in page.splitlines() if line.startswith("| a | normal")]
    [unseen] = [line for line in page.splitlines() if line.startswith("| c | normal")]
    assert seen.endswith("| the mask takes in the heart |")
    assert unseen.endswith("| – |")
    assert read_remarks(made.results) == {}
    (tmp_path / "remarks.csv").write_text("film,words\na,b\n")
    with pytest.raises(UsageError, match="id and remark"):
        read_remarks(tmp_path)


def test_clean_up_is_compared_with_the_bare_threshold(made):
    results = read_results(made.results)
    page = model_card(results)
    assert "| one_test | 0.9375 | 0.9375 | 3.00 | 3.00 | 3.0 | 3.0 |" in page
    assert "| lungs | 2 |" in page
    assert page.count("| lungs | 2 |") == 1  # the bare run has no table of its own
    del results["one_test_bare"]
    section = model_card(results).split("## Effect of clean-up")[1].split("##")[0]
    assert "Not measured" in section
