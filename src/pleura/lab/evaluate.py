"""`pleura evaluate`, whole: films in, a folder with scores, summary and report out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pleura
from pleura.io.atomic import written_whole
from pleura.lab.compare import compare
from pleura.lab.evaluation import (
    Evaluation,
    Selection,
    Trial,
    choose,
    fingerprint,
    judge_films,
    read_rows,
)
from pleura.lab.judge import Examined, Judge, Row
from pleura.lab.report import choose_films, report_html
from pleura.lab.summary import summarise
from pleura.runtime.engine import Engine

__all__ = ["evaluate", "provenance"]

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
    judge = Judge(engine, lungs=trial.lungs, cleaned=trial.cleaned)
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
