"""Statistics of many scores, on rows whose results are derived by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from pleura.core.errors import UsageError
from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.evaluation import Evaluation, Selection, read_rows
from pleura.lab.evaluate.metrics import Scores
from pleura.lab.evaluate.statistics import compare, describe, summarise
from pleura.lab.report.charts import agreement, by_source, histograms
from pleura.lab.report.panels import choose_films


def row(name: str, dice: float | None, **facts: object) -> Row:
    made = {
        "id": name,
        "source": "here",
        "split": "test",
        "condition": "normal",
        "patient": name,
        "structure": "lungs",
        "definition": "field",
        "predicted_definition": "field",
        "sides": "",
        "case": "both",
        "height": 100,
        "width": 100,
        "row_mm": None,
        "col_mm": None,
        "truth_px": 3000,
        "predicted_px": 3000,
        "ignored_px": 0,
        "scores": Scores(dice=dice, hd95_px=None if dice is None else 100 * (1 - dice)),
    }
    return Row(**(made | facts))


def evaluation(*rows: Row) -> Evaluation:
    return Evaluation(rows, (), Selection((), 0), ())


def test_undefined_values_are_counted_and_left_out_of_means():
    figures = describe([0.8, None, 0.6, None], list("abcd"), seed=0)
    assert (figures["n"], figures["n_undefined"], figures["mean"]) == (2, 2, 0.7)
    assert figures["mean_low"] is None  # too few patients for an interval


def test_without_known_values_the_statistics_are_undefined():
    figures = describe([None, None], list("ab"), seed=0)
    assert (figures["n"], figures["n_undefined"]) == (0, 2)
    assert {figures[key] for key in ("mean", "median", "p5", "min", "max")} == {None}


def test_quantiles_are_linear_between_films():
    # 21 values 0.00, 0.05, ..., 1.00: place 0.05 * 20 = 1 is the second, place 10 the middle.
    figures = describe([index / 20 for index in range(21)], [str(i) for i in range(21)], seed=0)
    assert (figures["p5"], figures["median"], figures["p95"]) == (0.05, 0.5, 0.95)
    assert (figures["min"], figures["max"]) == (0.0, 1.0)
    assert figures["mean_low"] < 0.5 < figures["mean_high"]


def test_the_share_under_090_leaves_090_itself_out():
    figures = summarise(evaluation(row("a", 0.9), row("b", 0.89), row("c", 0.95), row("d", None)))
    assert figures["overall"]["lungs"]["dice"]["share_under_090"] == round(1 / 3, 6)


def test_groups_by_source_condition_and_both():
    figures = summarise(
        evaluation(
            row("a", 0.9),
            row("b", 0.8, condition="ill"),
            row("c", 0.7, source="there", condition="ill"),
        )
    )

    def means(group: str) -> dict[str, float]:
        return {name: part["lungs"]["dice"]["mean"] for name, part in figures[group].items()}

    assert means("by_source") == {"here": 0.85, "there": 0.7}
    assert means("by_condition") == {"ill": 0.75, "normal": 0.9}
    assert means("by_source_and_condition") == {
        "here / ill": 0.8,
        "here / normal": 0.9,
        "there / ill": 0.7,
    }


def test_millimetres_count_only_films_with_a_spacing():
    known = row("a", 0.9, row_mm=0.5, col_mm=0.5, scores=Scores(dice=0.9, hd95_mm=2.0))
    missed = row("b", 0.0, row_mm=0.5, col_mm=0.5, case="missed", scores=Scores(dice=0.0))
    figures = summarise(evaluation(known, missed, row("c", 0.8)))["overall"]["lungs"]["hd95_mm"]
    assert (figures["n"], figures["n_undefined"], figures["mean"]) == (1, 1, 2.0)


def test_agreement_is_bias_and_limits_of_the_area_error():
    # Errors -0.1, 0, 0.1, 0.2: mean 0.05, standard deviation sqrt(0.05 / 3) = 0.129099.
    rows = [
        row(str(index), 0.9, scores=Scores(dice=0.9, area_error=error))
        for index, error in enumerate((-0.1, 0.0, 0.1, 0.2))
    ]
    figures = summarise(evaluation(*rows))["agreement"]["lungs"]
    assert figures["bias"] == 0.05
    assert figures["high"] == round(0.05 + 1.96 * (0.05 / 3) ** 0.5, 6)
    assert figures["low"] == round(0.05 - 1.96 * (0.05 / 3) ** 0.5, 6)


def test_one_lung_cases_are_counted_by_film():
    def side(name: str, structure: str, truth: int, predicted: int) -> Row:
        return row(name, 0.5, structure=structure, truth_px=truth, predicted_px=predicted)

    figures = summarise(
        evaluation(
            *(row(name, 0.5) for name in "abc"),
            side("a", "right", 10, 10),
            side("a", "left", 10, 0),
            side("b", "right", 0, 10),
            side("b", "left", 10, 10),
        )
    )["cases"]
    assert (figures["one_lung_predicted"], figures["one_lung_labelled"]) == (1, 1)
    assert figures["lungs_not_told_apart"] == 1  # c


def test_comparison_pairs_films_and_counts_the_others():
    here = [row("a", 0.9), row("b", 0.8), row("c", 0.7), row("d", None), row("e", 0.5)]
    there = [row("b", 0.9), row("c", 0.5), row("d", 0.4), row("f", 0.9)]
    there += [row("e", 0.5, truth_px=2999)]  # another label mask: no pair
    figures = compare(here, there)
    dice = figures["difference"]["lungs"]["dice"]
    assert (dice["n"], dice["n_undefined"]) == (2, 1)
    assert dice["mean"] == 0.05  # -0.1 and +0.2
    assert (dice["wins"], dice["losses"], dice["ties"]) == (1, 1, 0)
    assert figures["difference"]["lungs"]["hd95_px"]["mean"] == -5.0
    assert figures["difference"]["lungs"]["hd95_px"]["wins"] == 1  # lower is better
    assert (figures["only_here"], figures["only_there"]) == (["here/a"], ["here/f"])
    assert (figures["films"], figures["truth_differs"]) == (3, 1)


def test_comparison_finds_a_known_shift_and_its_interval():
    rng = np.random.default_rng(5)
    base = 0.9 + 0.02 * rng.standard_normal(60)
    gain = 0.004 + 0.002 * rng.standard_normal(60)
    there = [row(str(i), round(float(d), 6)) for i, d in enumerate(base)]
    here = [row(str(i), round(float(d), 6)) for i, d in enumerate(base + gain)]
    dice = compare(here, there)["difference"]["lungs"]["dice"]
    # The spread between films does not count in pairs: 1.96 * 0.002 / sqrt(60) is 0.0005.
    assert dice["mean"] == pytest.approx(0.004, abs=0.001)
    assert 0.0008 < dice["mean_high"] - dice["mean_low"] < 0.0013
    assert dice["mean_low"] > 0


def test_an_area_error_nearer_to_zero_wins():
    here = [row("a", 0.9, scores=Scores(area_error=-0.02))]
    there = [row("a", 0.9, scores=Scores(area_error=0.01))]
    figures = compare(here, there)["difference"]["lungs"]["area_error"]
    assert (figures["mean"], figures["losses"]) == (-0.03, 1)


def test_a_table_is_read_back_unchanged(tmp_path):
    rows = (row("a,b", 0.9, row_mm=0.5, col_mm=0.25, notes='one; "two"'), row("ü", None))
    (tmp_path / "scores.csv").write_text(evaluation(*rows).as_csv(), encoding="utf-8")
    assert tuple(read_rows(tmp_path / "scores.csv")) == rows


def test_a_damaged_table_names_the_line(tmp_path):
    text = evaluation(row("a", 0.9), row("b", 0.8)).as_csv().replace("0.8", "0.x8")
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(UsageError, match=r"scores.csv, line 3: .*'0.x8'; expected a number"):
        read_rows(tmp_path / "scores.csv")
    with pytest.raises(UsageError, match=r"none\.csv: cannot be read"):
        read_rows(tmp_path / "none.csv")


def shown(rows: list[Row], seed: int = 1) -> dict[str, list[str]]:
    """Heading -> ids of the films that the report shows under it."""
    choices = choose_films(rows, seed=seed)
    return {choice.name: [row.id for row in choice.rows] for choice in choices}


def test_the_report_shows_worst_median_best_and_random_films():
    rows = [row(f"{index:02}", index / 40) for index in range(40)]
    rows += [row("u", None), replace(rows[3], structure="right")]
    chosen = shown(rows)
    assert chosen["worst"] == [f"{index:02}" for index in range(10)]
    assert chosen["best"] == ["39", "38"]
    assert chosen["median"] == ["19", "20"]
    assert len(set(chosen["random"])) == 6
    assert chosen["random"] != shown(rows, seed=2)["random"]


@pytest.mark.parametrize(
    ("films", "median", "best"),
    [(0, 0, 0), (3, 0, 0), (10, 0, 0), (11, 1, 0), (13, 2, 1), (14, 2, 2), (30, 2, 2)],
)
def test_a_small_set_shows_no_film_twice_except_random_ones(films, median, best):
    chosen = shown([row(f"{index:02}", index / 30) for index in range(films)])
    once = [name for kind in ("worst", "median", "best") for name in chosen.get(kind, [])]
    assert len(once) == len(set(once)) == min(films, 10) + median + best
    assert len(chosen.get("median", [])) == median


def test_charts_draw_one_mark_for_each_film():
    rng = np.random.default_rng(0)
    rows = [
        replace(
            row(str(index), float(dice), source="one" if index % 3 else "two"),
            scores=Scores(dice=float(dice), hd95_px=3.0, assd_px=1.0, area_error=0.01 * index),
        )
        for index, dice in enumerate(rng.uniform(0.8, 1.0, 30))
    ]
    figures = summarise(evaluation(*rows))
    strips = by_source(rows, figures["by_source"])
    plane = agreement(rows, figures["agreement"]["lungs"])
    for chart in (histograms(rows), strips, plane):
        assert chart.startswith("<svg viewBox=")
        assert not re.search("http|<script|xmlns|#0[0-9a]0[0-9b]0[0-9]", chart)
        assert "currentColor" in chart
    # A film is a <use> of its colour's marker, once; the legend of two sources adds two.
    assert len(re.findall(r"<use [^>]*fill-opacity: 0.65", plane)) == 30 + 2
    assert "undefined for every film" in histograms([row("a", None)])
