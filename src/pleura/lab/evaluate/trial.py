"""Films held against their masks: which ones, one after the other, and what came of it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from pleura.core.arrays import Definition
from pleura.core.errors import DataError, FilmError, UsageError
from pleura.lab.data.film import Film, fingerprint, with_masks
from pleura.lab.data.layouts import read_films
from pleura.lab.data.split import carve_validation, without_copies
from pleura.lab.evaluate.case import Judge, Row, rows
from pleura.lab.evaluate.metrics import METRICS, Scores

__all__ = [
    "ALL",
    "Evaluation",
    "Failure",
    "Selection",
    "Trial",
    "choose",
    "fingerprint",
    "judge_films",
    "read_rows",
]

ALL = "all"
"""In place of a split's name: every film."""

_JUDGED = ("verdict", "estimated_dice")
_FACTS = tuple(each.name for each in fields(Row) if each.name not in ("scores", "notes", *_JUDGED))
COLUMNS = (*_FACTS, *METRICS, *_JUDGED, "notes")
"""Of scores.csv, in this order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A film that has a mask but could not be scored."""

    id: str
    source: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is to be judged, and how it was asked for."""

    data: tuple[Path, ...]
    split: str = "test"
    """A split's name, or `all`."""

    splits: str | None = None
    """A CSV file or a published split's name, in place of the data's own."""

    layout: str = "auto"
    lungs: Definition | None = None
    """Predict this definition always; None: as each film labels it, where the weights can."""

    carve: tuple[float, int] | None = None
    """Share and seed by which sources without films of split `val` get some of their `train`, as
    training does; None: only the splits as they are."""

    cleaned: bool = True
    """False judges the bare threshold, to measure what cleaning is worth."""

    compare: Path | None = None
    """The scores.csv of another run."""

    limit: int | None = None
    seed: int = 0
    command: str = ""
    """As typed, for the record."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The films of a data set that are to be judged."""

    films: tuple[Film, ...]
    without_mask: int
    """Films of the split that nothing can be said about."""

    beyond_limit: int = 0
    """Films of the split with a mask that a limit left out."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything found out about a selection of films."""

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    selection: Selection
    seconds: tuple[float, ...] = field(default=())
    """From file to masks, a film; in the order scored."""

    def counts(self) -> dict[str, int]:
        """How many films were scored, and how many were not and why."""
        return {
            "scored": len({(row.source, row.id) for row in self.rows}),
            "failed": len(self.failures),
            "without_mask": self.selection.without_mask,
            "beyond_limit": self.selection.beyond_limit,
        }

    def as_csv(self) -> str:
        """One row a film and structure; what is undefined is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            facts = [getattr(row, name) for name in _FACTS]
            values = row.scores.as_dict().values()
            judged = [getattr(row, name) for name in _JUDGED]
            cells = (*facts, *values, *judged, row.notes)
            writer.writerow(["" if cell is None else cell for cell in cells])
        return text.getvalue()


def choose(trial: Trial) -> Selection:
    """The films of the trial's split with a mask; a limit draws so many of them at random.

    Raises:
        DataError: no such data set, a film twice, or no film of the split has a mask.
        UsageError: the limit is not positive.
    """
    if trial.limit is not None and trial.limit < 1:
        raise UsageError(f"--limit must be 1 or more, got {trial.limit}")
    films = _read(trial)
    mine = [film for film in films if trial.split in (ALL, film.split)]
    masked = with_masks(mine)
    if not masked:
        held = sorted({film.split or "(no split)" for film in with_masks(films)}) or ["no film"]
        raise DataError(
            f"{', '.join(map(str, trial.data))}: no film of split '{trial.split}' has a mask; "
            f"masks are there for: {', '.join(held)}. Name another with --split, "
            f"or take --split {ALL}"
        )
    chosen = masked
    if trial.limit is not None and trial.limit < len(masked):
        drawn = np.random.default_rng(trial.seed).choice(len(masked), trial.limit, replace=False)
        chosen = [masked[index] for index in sorted(drawn)]
    return Selection(tuple(chosen), len(mine) - len(masked), len(masked) - len(chosen))


def _read(trial: Trial) -> list[Film]:
    """The films of every set; a film is known by its source and id, so no two may share both."""
    films = [
        film
        for path in trial.data
        for film in read_films(path, layout=trial.layout, split=trial.splits)
    ]
    seen = Counter((film.source, film.id) for film in films)
    repeated = [key for key, times in seen.items() if times > 1]
    if repeated:
        raise DataError(
            f"{len(repeated)} films are there twice (first: {'/'.join(repeated[0])}); "
            "name each data set once"
        )
    return films if trial.carve is None else carve_validation(without_copies(films), *trial.carve)


def judge_films(
    selection: Selection, judge: Judge, *, on_film: Callable[[], None] = lambda: None
) -> Evaluation:
    """Score every film; one that cannot be read or segmented is told, and the rest goes on."""
    scored: list[Row] = []
    failures: list[Failure] = []
    seconds: list[float] = []
    for film in selection.films:
        try:
            examined = judge.examine(film)
        except (FilmError, DataError) as error:
            failures.append(Failure(film.id, film.source, str(error)))
        else:
            scored += rows(examined)
            seconds.append(examined.seconds)
        on_film()
    return Evaluation(tuple(scored), tuple(failures), selection, tuple(seconds))


def read_rows(path: Path) -> list[Row]:
    """Read a `scores.csv` back.

    Raises:
        UsageError: no such file, or not a table that `pleura evaluate` wrote.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            wanted = (name for name in COLUMNS if name not in _JUDGED)  # older tables lack these
            missing = [name for name in wanted if name not in (reader.fieldnames or ())]
            table = [] if missing else list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as a table of scores ({error})") from error
    if missing:
        raise UsageError(
            f"{path}: column {', '.join(missing[:5])} missing; expected a scores.csv that "
            "`pleura evaluate` of this version wrote"
        )
    return [_row(path, number, record) for number, record in enumerate(table, start=2)]


def _row(path: Path, number: int, record: dict[str, str]) -> Row:
    try:
        values = {name: float(record[name]) if record[name] else None for name in METRICS}
        facts: dict[str, Any] = {name: record[name] for name in (*_FACTS, "notes")}
        facts["verdict"] = record.get("verdict") or ""
        estimate = record.get("estimated_dice")
        facts["estimated_dice"] = float(estimate) if estimate else None
        for name in ("height", "width", "truth_px", "predicted_px", "ignored_px"):
            facts[name] = int(record[name])
        for name in ("row_mm", "col_mm"):
            facts[name] = float(record[name]) if record[name] else None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}, line {number}: {error}; expected a number") from error
    return Row(**facts, scores=Scores(**values))
