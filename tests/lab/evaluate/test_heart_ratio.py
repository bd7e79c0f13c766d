"""Bias, limits and errors of the cardiothoracic ratio, derived by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.evaluation import Evaluation, Selection, read_rows
from pleura.lab.evaluate.heart_ratio import ratio_figures
from pleura.lab.evaluate.metrics import Scores
from pleura.lab.report.numbers import ratio_cells


def heart(
    name: str,
    ratio: float | None,
    true_ratio: float | None,
    *,
    verdict: str = "ok",
    source: str = "here",
) -> Row:
    return Row(
        id=name, source=source, split="test", condition="", patient=name, structure="heart",
        definition="", predicted_definition="", sides="", case="both", height=10, width=10,
        row_mm=None, col_mm=None, truth_px=20, predicted_px=20, ignored_px=0,
        scores=Scores(dice=1.0), ratio=ratio, true_ratio=true_ratio, heart_verdict=verdict,
    )  # fmt: skip


# Errors of the films that keep their ratio: +0.02, 0, +0.01, +0.05, and of the doubtful one -0.30.
ROWS = [
    heart("a", 0.52, 0.50),
    heart("b", 0.40, 0.40),
    heart("c", 0.51, 0.50),
    heart("d", 0.55, 0.50),
    heart("e", 0.30, 0.60, verdict="review"),
]


def test_kept_and_all_by_hand() -> None:
    figures = ratio_figures(ROWS)
    assert list(figures) == ["overall", "here"]
    assert figures["overall"] == figures["here"]
    kept = figures["overall"]["kept"]
    # Mean 0.08 / 4 = 0.02. Deviations 0, -0.02, -0.01, 0.03: squares 0.0014, over 3, root 0.021602;
    # 1.96 times that 0.042340. None is off by more than 0.05: 0.05 itself is not.
    assert kept == {
        "n": 4,
        "n_undefined": 0,
        "bias": 0.02,
        "low": pytest.approx(-0.02234, abs=1e-5),
        "high": pytest.approx(0.06234, abs=1e-5),
        "mean_absolute_error": 0.02,
        "share_far_off": pytest.approx(0, abs=1e-9),
    }
    # With -0.30: mean -0.22 / 5 = -0.044; absolute 0.38 / 5 = 0.076; one of five is far off.
    everything = figures["overall"]["all"]
    assert everything["n"] == 5
    assert everything["bias"] == -0.044
    assert everything["mean_absolute_error"] == 0.076
    assert everything["share_far_off"] == 0.2


def test_undefined_ratios_are_counted_and_films_without_labels_left_out() -> None:
    rows = [*ROWS[:2], heart("f", None, 0.5), heart("g", 0.5, None, source="there")]
    figures = ratio_figures(rows)
    assert list(figures) == ["overall", "here"]
    assert (figures["here"]["all"]["n"], figures["here"]["all"]["n_undefined"]) == (2, 1)
    assert ratio_figures([heart("g", 0.5, None)]) == {}


def test_one_film_has_no_limits_and_none_no_figures() -> None:
    one = ratio_figures([heart("a", 0.52, 0.50)])["overall"]
    assert (one["kept"]["bias"], one["kept"]["low"]) == (0.02, None)
    doubtful = ratio_figures([heart("e", 0.3, 0.6, verdict="review")])["overall"]["kept"]
    assert (doubtful["n"], doubtful["bias"], doubtful["share_far_off"]) == (0, None, None)
    assert ratio_cells(doubtful) == ("0", "–", "– to –", "–", "–")
    assert ratio_cells(one["kept"])[1] == "+0.020"


def test_the_ratios_are_kept_in_scores_csv(tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text(Evaluation(tuple(ROWS), (), Selection((), 0), ()).as_csv())
    assert ratio_figures(read_rows(table)) == ratio_figures(ROWS)
