"""The run of `pleura evaluate`, and its HTML report, which needs no other file and no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pleura._version import __version__
from pleura.core.masks.cleanup import clean
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import digest_of
from pleura.lab.evaluate.bare_threshold import threshold_only
from pleura.lab.evaluate.case import Evaluator, Examined, Row
from pleura.lab.evaluate.evaluation import (
    Evaluation,
    EvaluationSettings,
    Selection,
    choose,
    evaluate_films,
    fingerprint,
    read_rows,
)
from pleura.lab.evaluate.metrics import METRICS
from pleura.lab.evaluate.statistics import compare, summarise
from pleura.lab.report import charts as figures
from pleura.lab.report.numbers import number, percent, ratio_cells, signed_percent
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
    """The HTML report of `summary` and its rows; `examine` segments a film that is shown."""
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
        all_comparable=all(source["comparable"] for source in summary["sources"].values()),
        metrics=METRICS,
        ratio_cells=ratio_cells,
        charts=_charts(lungs, summary),
        choices=_panels(choices, examine),
        headings=HEADINGS,
        colours={"true": TRUE, "added": ADDED, "missed": MISSED},
    )


def _title(summary: dict[str, Any]) -> str:
    sources = ", ".join(summary["sources"]) or "films without lungs labelled"
    split = summary["provenance"]["data"]["split"]
    return f"{sources}: {split} films"


def _warnings(summary: dict[str, Any]) -> list[str]:
    """Warnings about failed films, other definitions of lung, and empty masks."""
    warnings = []
    if failed := summary["films"]["failed"]:
        warnings.append(
            f"{_films(failed)} could not be read or segmented. They are listed at the end and have "
            "no scores."
        )
    for name, source in summary["sources"].items():
        if not source["comparable"]:
            labels, predicted = (" and ".join(source[key]) for key in ("labels", "predicted"))
            warnings.append(
                f"The masks of {name} follow '{labels}', and '{predicted}' was predicted. Their "
                "scores mix the two definitions of lung: they are in separate rows and not in the "
                "overall scores."
            )
    if trained := summary["provenance"]["data"].get("trained_on"):
        warnings.append(f"The weights were trained or selected on {_films(trained)} of these.")
    lungs = summary["cases"]["by_structure"].get("lungs", {})
    for case, text in (
        ("missed", "no lung was found, but one is labelled: Dice 0, distances undefined"),
        ("invented", "a lung was found, but none is labelled: Dice 0, distances undefined"),
        ("neither", "no lung is labelled and none was found: every score is undefined"),
    ):
        if lungs.get(case):
            warnings.append(f"{_films(lungs[case])}: {text}.")
    return warnings


def _notes(summary: dict[str, Any]) -> list[str]:
    """Notes on films that are left out, and on films with one lung or ignored areas."""
    counts = {**summary["films"], **summary["cases"]}
    texts = {
        "without_mask": "of this split without a mask, left out",
        "beyond_limit": "left out by --limit, which draws at random",
        "one_lung_labelled": "with only one lung labelled",
        "one_lung_predicted": "with only one lung found",
        "lungs_not_told_apart": "whose mask cannot be split into two lungs: no scores of each lung",
        "with_ignored_areas": "with ignored areas, left out of both masks",
    }
    return [f"{_films(counts[key])} {text}." for key, text in texts.items() if counts[key]]


def _films(count: int) -> str:
    return f"{count} film" if count == 1 else f"{count} films"


def _conditions(summary: dict[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """The conditions of each source, if it has more than one."""
    by_source: dict[str, list[tuple[str, Any]]] = {source: [] for source in summary["by_source"]}
    for name, group in summary["by_source_and_condition"].items():
        source, _, condition = name.partition(" / ")
        if "lungs" in group:
            by_source[source].append((condition, group))
    return {source: parts if len(parts) > 1 else [] for source, parts in by_source.items()}


def _charts(lungs: Sequence[Row], summary: dict[str, Any]) -> dict[str, Markup]:
    """The charts as SVG, which needs no escaping."""
    if not lungs:
        return {}
    charts = {
        "histograms": figures.histograms(lungs),
        "by_source": figures.by_source(lungs, summary["by_source"]),
        "agreement": "",
    }
    if "lungs" in summary["agreement"]:
        charts["agreement"] = figures.agreement(lungs, summary["agreement"]["lungs"])
    return {name: Markup(text) for name, text in charts.items()}


def _panels(choices: Sequence[Choice], examine: Callable[[Row], Examined]) -> list[dict[str, Any]]:
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
"""The schema version of summary.json; it grows when a key changes or is removed."""

Progress = Callable[[str, int, int], None]
"""Called with a stage (`score`, `draw`) and the numbers of films done and to do."""


def evaluate(
    settings: EvaluationSettings,
    engine: Engine,
    out: Path,
    *,
    on_progress: Progress = lambda _stage, _done, _total: None,
) -> dict[str, Any]:
    """Evaluate films and write `scores.csv`, `summary.json` and `report.html` into `out`.

    Returns the content of summary.json.

    Raises:
        DataError: no such data, or no film with a mask in this split.
        UsageError: an option is wrong, or `compare` is no table of scores.
        WeightsError: the network gives invalid numbers.
    """
    baseline = None if settings.compare is None else read_rows(settings.compare)
    postprocess = clean if settings.cleaned else threshold_only
    evaluator = Evaluator(engine, lungs=settings.lungs, tta=settings.tta, postprocess=postprocess)
    selection = choose(settings)
    advance = _counter(on_progress, "score", len(selection.films))
    evaluation = evaluate_films(selection, evaluator, accepted=settings.accepted, on_film=advance)
    summary = {
        "schema": SCHEMA,
        "provenance": provenance(settings, engine, selection),
        **summarise(evaluation, seed=settings.seed),
    }
    if baseline is not None:
        comparison = compare(evaluation.rows, baseline, seed=settings.seed)
        summary["comparison"] = {"other": str(settings.compare), **comparison}
    page = _page(evaluation, summary, evaluator, on_progress)
    for name, text in (
        ("scores.csv", evaluation.as_csv()),
        ("report.html", page),
        ("summary.json", json.dumps(summary, indent=1, allow_nan=False) + "\n"),
    ):
        with atomic_write(out / name, "w") as file:
            file.write(text)
    return summary


def _counter(on_progress: Progress, stage: str, total: int) -> Callable[[], None]:
    """A function that counts one more film of a stage."""
    done = 0
    on_progress(stage, done, total)

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(stage, done, total)

    return advance


def provenance(
    settings: EvaluationSettings, engine: Engine, selection: Selection
) -> dict[str, Any]:
    """The provenance of a report: version, weights, films; plain values."""
    card = engine.card
    return {
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": settings.command,
        "seed": settings.seed,
        "cleaned": settings.cleaned,
        "tta": settings.tta,
        "engine": engine.name,
        "weights": {
            "name": card.name,
            "sha256": engine.weights_sha256,
            "channels": list(card.channels),
            "side": card.side,
            "version": card.version,
            "created": card.created,
            "licence": card.licence,
        },
        "data": {
            "sets": [str(path) for path in settings.data],
            "layout": settings.layout,
            "split": settings.split,
            "splits": settings.splits,
            "limit": settings.limit,
            "films": len(selection.films),
            "fingerprint": fingerprint(selection.films),
            "trained_on": _trained_on(engine, selection),
        },
    }


def _trained_on(engine: Engine, selection: Selection) -> int | None:
    """How many of the films the weights were trained or selected on; None if unknown.

    It is unknown too if none is known and the weights started from others that list no films.
    """
    data = engine.card.data
    if data.get("digests") is None:
        return None
    known = sum(digest_of(film) in data["digests"] for film in selection.films)
    return known if known or data.get("digests_complete", True) else None


def _page(
    evaluation: Evaluation, summary: dict[str, Any], evaluator: Evaluator, on_progress: Progress
) -> str:
    """The HTML report. Its films are segmented again, so that masks need not be kept in memory."""
    films = {(film.source, film.id): film for film in evaluation.selection.films}
    comparable = [row for row in evaluation.rows if row.comparable]
    choices = choose_films(comparable or evaluation.rows, seed=summary["provenance"]["seed"])
    advance = _counter(on_progress, "draw", sum(len(choice.rows) for choice in choices))

    def examine(row: Row) -> Examined:
        examined = evaluator.examine(films[row.source, row.id])
        advance()
        return examined

    return report_html(summary, evaluation.rows, choices, examine=examine)
