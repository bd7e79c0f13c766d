"""The report: one HTML file that needs nothing beside it, neither scripts nor a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

import pleura
from pleura.core.masks.cleanup import clean
from pleura.io.atomic import written_whole
from pleura.lab.evaluate.case import Examined, Judge, Row
from pleura.lab.evaluate.metrics import METRICS
from pleura.lab.evaluate.statistics import compare, summarise
from pleura.lab.evaluate.threshold import threshold_only
from pleura.lab.evaluate.trial import (
    Evaluation,
    Selection,
    Trial,
    choose,
    fingerprint,
    judge_films,
    read_rows,
)
from pleura.lab.report import charts as figures
from pleura.lab.report.numbers import number, percent, signed_percent
from pleura.lab.report.panels import ADDED, MISSED, TRUE, Choice, choose_films, draw_panel
from pleura.runtime.engine import Engine

__all__ = ["choose_films", "evaluate", "provenance", "report_html"]


HEADINGS = {
    "random": "Drawn at random",
    "worst": "The worst",
    "median": "About the median",
    "best": "The best",
}


def report_html(
    summary: dict[str, Any],
    rows: Sequence[Row],
    choices: Sequence[Choice],
    *,
    examine: Callable[[Row], Examined],
) -> str:
    """The page for `summary` and its rows; `examine` gives a chosen film's pixels and masks."""
    comparable = [row for row in rows if row.comparable]
    lungs = [row for row in comparable if row.structure == "lungs"]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {"number": number, "percent": percent, "signed": signed_percent}
    source = (
        resources.files("pleura.lab.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    return environment.from_string(source).render(
        title=_title(summary),
        summary=summary,
        provenance=summary["provenance"],
        comparison=summary.get("comparison"),
        lungs=summary["overall"].get("lungs"),
        warnings=_warnings(summary),
        notes=_notes(summary),
        conditions=_conditions(summary),
        all_comparable=all(each["comparable"] for each in summary["sources"].values()),
        metrics=METRICS,
        charts=_charts(lungs, summary),
        choices=_drawn(choices, examine),
        headings=HEADINGS,
        colours={"true": TRUE, "added": ADDED, "missed": MISSED},
    )


def _title(summary: dict[str, Any]) -> str:
    sources = ", ".join(summary["sources"]) or "films without lungs labelled"
    split = summary["provenance"]["data"]["split"]
    return f"{sources}: {split} films"


def _warnings(summary: dict[str, Any]) -> list[str]:
    """What must be known before the numbers are believed."""
    told = []
    if failed := summary["films"]["failed"]:
        told.append(
            f"{_films(failed)} could not be read or segmented: named at the end, and in no score."
        )
    for source, each in summary["sources"].items():
        if not each["comparable"]:
            labels, predicted = (" and ".join(each[key]) for key in ("labels", "predicted"))
            told.append(
                f"{source} labels the lungs as '{labels}', and '{predicted}' was predicted. Its "
                "scores mix the two definitions of lung: they stand in rows of their own, and in "
                "no overall figure."
            )
    lungs = summary["cases"]["by_structure"].get("lungs", {})
    for case, text in (
        ("missed", "no lung was found where there is one: Dice 0, distances undefined"),
        ("invented", "lung was found where none is labelled: Dice 0, distances undefined"),
        ("neither", "there is no lung and none was found: every score is undefined"),
    ):
        if lungs.get(case):
            told.append(f"{_films(lungs[case])}: {text}.")
    return told


def _notes(summary: dict[str, Any]) -> list[str]:
    """What is good to know: films that are not in the numbers, and lungs that stand alone."""
    counts = {**summary["films"], **summary["cases"]}
    texts = {
        "without_mask": "of this split without a mask, left out",
        "beyond_limit": "more left out by --limit, which draws at random",
        "one_lung_labelled": "with just one lung labelled",
        "one_lung_predicted": "with just one lung found",
        "lungs_not_told_apart": "whose mask does not come apart into two: no score for each lung",
        "with_ignored_areas": "with areas to ignore, left out of both masks",
    }
    return [f"{_films(counts[key])} {text}." for key, text in texts.items() if counts[key]]


def _films(count: int) -> str:
    return f"{count} film" if count == 1 else f"{count} films"


def _conditions(summary: dict[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """For each source its conditions, where it has more than one."""
    found: dict[str, list[tuple[str, Any]]] = {source: [] for source in summary["by_source"]}
    for name, group in summary["by_source_and_condition"].items():
        source, _, condition = name.partition(" / ")
        if "lungs" in group:
            found[source].append((condition, group))
    return {source: each if len(each) > 1 else [] for source, each in found.items()}


def _charts(lungs: Sequence[Row], summary: dict[str, Any]) -> dict[str, Markup]:
    """SVG of our own making, hence not escaped."""
    if not lungs:
        return {}
    drawn = {
        "histograms": figures.histograms(lungs),
        "by_source": figures.by_source(lungs, summary["by_source"]),
        "agreement": "",
    }
    if "lungs" in summary["agreement"]:
        drawn["agreement"] = figures.agreement(lungs, summary["agreement"]["lungs"])
    return {name: Markup(text) for name, text in drawn.items()}


def _drawn(choices: Sequence[Choice], examine: Callable[[Row], Examined]) -> list[dict[str, Any]]:
    pages = []
    for choice in choices:
        films = []
        for index, row in enumerate(choice.rows):
            panel = draw_panel(examine(row), name=f"{choice.name}-{index}")
            views = {view: Markup(getattr(panel, view)) for view in panel.__slots__}
            films.append((row, views))
        pages.append({"name": choice.name, "films": films})
    return pages


SCHEMA = 1
"""Of summary.json; it grows when a key changes its meaning or goes."""

Progress = Callable[[str, int, int], None]
"""Called with a stage (`score`, `draw`), how many are done, and of how many."""


def evaluate(
    trial: Trial,
    engine: Engine,
    out: Path,
    *,
    on_progress: Progress = lambda _stage, _done, _total: None,
) -> dict[str, Any]:
    """Judge, write `scores.csv`, `summary.json` and `report.html` into `out`; give the summary.

    Raises:
        DataError: no such data, or no film with a mask in this split.
        UsageError: an option is wrong, or `compare` is no table of scores.
        WeightsError: the engine's weights answer nonsense.
    """
    other = None if trial.compare is None else read_rows(trial.compare)
    postprocess = clean if trial.cleaned else threshold_only
    judge = Judge(engine, lungs=trial.lungs, postprocess=postprocess)
    selection = choose(trial)
    advance = _counted(on_progress, "score", len(selection.films))
    evaluation = judge_films(selection, judge, on_film=advance)
    summary = {
        "schema": SCHEMA,
        "provenance": provenance(trial, engine, selection),
        **summarise(evaluation, seed=trial.seed),
    }
    if other is not None:
        found = compare(evaluation.rows, other, seed=trial.seed)
        summary["comparison"] = {"other": str(trial.compare), **found}
    page = _page(evaluation, summary, judge, on_progress)
    for name, text in (
        ("scores.csv", evaluation.as_csv()),
        ("report.html", page),
        ("summary.json", json.dumps(summary, indent=1, allow_nan=False) + "\n"),
    ):
        with written_whole(out / name, "w") as file:
            file.write(text)
    return summary


def _counted(on_progress: Progress, stage: str, total: int) -> Callable[[], None]:
    """A call that counts one film more of a stage."""
    done = 0
    on_progress(stage, done, total)

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(stage, done, total)

    return advance


def provenance(trial: Trial, engine: Engine, selection: Selection) -> dict[str, Any]:
    """What made a report: version, weights, films; plain values."""
    card = engine.card
    return {
        "version": pleura.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": trial.command,
        "seed": trial.seed,
        "cleaned": trial.cleaned,
        "engine": engine.name,
        "weights": {
            "name": card.name,
            "sha256": engine.weights_sha256,
            "channels": list(card.channels),
            "side": card.side,
            "version": card.version,
            "created": card.created,
        },
        "data": {
            "sets": [str(path) for path in trial.data],
            "layout": trial.layout,
            "split": trial.split,
            "splits": trial.splits,
            "limit": trial.limit,
            "films": len(selection.films),
            "fingerprint": fingerprint(selection.films),
        },
    }


def _page(
    evaluation: Evaluation, summary: dict[str, Any], judge: Judge, on_progress: Progress
) -> str:
    """The report. Its films are segmented once more: masks of thousands need not be kept."""
    films = {(film.source, film.id): film for film in evaluation.selection.films}
    comparable = [row for row in evaluation.rows if row.comparable]
    choices = choose_films(comparable or evaluation.rows, seed=summary["provenance"]["seed"])
    advance = _counted(on_progress, "draw", sum(len(choice.rows) for choice in choices))

    def examine(row: Row) -> Examined:
        examined = judge.examine(films[row.source, row.id])
        advance()
        return examined

    return report_html(summary, evaluation.rows, choices, examine=examine)
