"""Evaluating many films: selecting them, scoring them, and the table of scores."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from pleura.core.arrays import Definition
from pleura.core.errors import DataError, FilmError, UsageError
from pleura.lab.data.check import errors_by_film
from pleura.lab.data.film import Film, fingerprint, with_masks
from pleura.lab.data.layouts import read_sets
from pleura.lab.data.split import add_validation_split, without_copies
from pleura.lab.evaluate.case import Evaluator, Row, rows
from pleura.lab.evaluate.metrics import METRICS, Scores

__all__ = [
    "ALL",
    "Evaluation",
    "EvaluationSettings",
    "Failure",
    "Selection",
    "choose",
    "evaluate_films",
    "fingerprint",
    "read_rows",
]

ALL = "all"
"""The value of `--split` that selects all films."""

_QUALITY_NUMBERS = ("estimated_dice", "uncertainty", "ratio", "true_ratio")
_QUALITY_COLUMNS = ("verdict", *_QUALITY_NUMBERS, "heart_verdict")
_FACTS = tuple(
    item.name for item in fields(Row) if item.name not in ("scores", "notes", *_QUALITY_COLUMNS)
)
COLUMNS = (*_FACTS, *METRICS, *_QUALITY_COLUMNS, "notes")
"""The columns of scores.csv, in this order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A film with a mask that could not be scored."""

    film: Film
    error: str

    def as_dict(self) -> dict[str, str]:
        """Plain values."""
        return {"id": self.film.id, "source": self.film.source, "error": self.error}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """The films to evaluate, and the options of the evaluation."""

    data: tuple[Path, ...]
    split: str = "test"
    """A split's name, or `all`."""

    splits: str | None = None
    """A CSV file or the name of a published split, instead of the data's own."""

    fold: int | None = None
    """A fold of `splits`, whose films are `val`."""

    layout: str = "auto"
    accepted: tuple[str, ...] = ()
    """Kinds of errors of films and masks in spite of which a film is scored."""

    lungs: Definition | None = None
    """The definition to predict; None for the one that each film's masks follow, if the weights
    give it."""

    validation_draw: tuple[float, int] | None = None
    """Share and seed for moving films from split `train` to `val` in sources without `val`, as
    training does; None leaves the splits unchanged."""

    cleaned: bool = True
    """False scores the thresholded maps without clean-up, to measure the effect of clean-up."""

    tta: bool = False
    """Whether the maps are means over variants of each film."""

    compare: Path | None = None
    """The scores.csv of another run."""

    limit: int | None = None
    seed: int = 0
    command: str = ""
    """The command line, for the report."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected films of a data set."""

    films: tuple[Film, ...]
    without_mask: int
    """The number of films of the split that have no mask."""

    beyond_limit: int = 0
    """The number of films of the split with a mask that the limit leaves out."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of a selection of films."""

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    selection: Selection
    seconds: tuple[float, ...] = field(default=())
    """The time from file to masks of each film, in the order of scoring."""

    def counts(self) -> dict[str, int]:
        """The numbers of films that were scored, that failed, and that were left out."""
        return {
            "scored": len({(row.source, row.id) for row in self.rows}),
            "failed": len(self.failures),
            "without_mask": self.selection.without_mask,
            "beyond_limit": self.selection.beyond_limit,
        }

    def as_csv(self) -> str:
        """The table of scores: one row for each film and structure; undefined is an empty cell."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in self.rows:
            facts = [getattr(row, name) for name in _FACTS]
            values = row.scores.as_dict().values()
            quality = [getattr(row, name) for name in _QUALITY_COLUMNS]
            cells = (*facts, *values, *quality, row.notes)
            writer.writerow(["" if cell is None else cell for cell in cells])
        return text.getvalue()


def choose(settings: EvaluationSettings) -> Selection:
    """Select the films of the evaluation's split that have a mask; with a limit, a random sample.

    Raises:
        DataError: no such data set, a film occurs twice, or no film of the split has a mask.
        UsageError: the limit is not positive.
    """
    if settings.limit is not None and settings.limit < 1:
        raise UsageError(f"--limit must be 1 or more, got {settings.limit}")
    films = _read(settings)
    in_split = [film for film in films if settings.split in (ALL, film.split)]
    masked = with_masks(in_split)
    if not masked:
        raise DataError(
            f"{', '.join(map(str, settings.data))}: no film of split '{settings.split}' has a "
            f"mask; {_other_splits(films)}"
        )
    chosen = masked
    if settings.limit is not None and settings.limit < len(masked):
        drawn = np.random.default_rng(settings.seed).choice(
            len(masked), settings.limit, replace=False
        )
        chosen = [masked[index] for index in sorted(drawn)]
    return Selection(tuple(chosen), len(in_split) - len(masked), len(masked) - len(chosen))


def _other_splits(films: Sequence[Film]) -> str:
    """Which splits have masks, and what to do."""
    splits = sorted({film.split or "" for film in with_masks(films)})
    if not splits:
        return "no film of any other split has a mask either: see `pleura data check`"
    if splits == [""]:
        return (
            "the films are not divided: give --splits with a file of `pleura data split`, "
            f"or use --split {ALL}"
        )
    named = ", ".join(split or "(no split)" for split in splits)
    return f"splits with masks: {named}; choose one with --split, or use --split {ALL}"


def _read(settings: EvaluationSettings) -> list[Film]:
    """Read the films of all data sets. Source and id identify a film, so they must be unique."""
    films = read_sets(
        settings.data, layout=settings.layout, split=settings.splits, fold=settings.fold
    )
    seen = Counter((film.source, film.id) for film in films)
    repeated = [key for key, times in seen.items() if times > 1]
    if repeated:
        raise DataError(
            f"{len(repeated)} films occur twice (first: {'/'.join(repeated[0])}); "
            "name each data set once"
        )
    return (
        films
        if settings.validation_draw is None
        else add_validation_split(without_copies(films), *settings.validation_draw)
    )


def evaluate_films(
    selection: Selection,
    evaluator: Evaluator,
    *,
    accepted: Collection[str] = (),
    on_film: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score every film. A film with an error becomes a `Failure`.

    Errors are those of `pleura data check`, except the kinds `accepted`, and those of segmenting.
    """
    scored: list[Row] = []
    failures: list[Failure] = []
    seconds: list[float] = []
    errors = errors_by_film(selection.films, accepted=accepted)
    for index, film in enumerate(selection.films):
        try:
            if index in errors:
                raise DataError(errors[index])
            examined = evaluator.examine(film)
        except (FilmError, DataError) as error:
            failures.append(Failure(film, str(error)))
        else:
            scored += rows(examined)
            seconds.append(examined.seconds)
        on_film()
    return Evaluation(tuple(scored), tuple(failures), selection, tuple(seconds))


def read_rows(path: Path) -> list[Row]:
    """Read a `scores.csv`.

    Raises:
        UsageError: there is no such file, or `pleura evaluate` did not write it.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            required = (
                name for name in COLUMNS if name not in _QUALITY_COLUMNS
            )  # older tables have none of these
            missing = [name for name in required if name not in (reader.fieldnames or ())]
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
        for name in ("verdict", "heart_verdict"):
            facts[name] = record.get(name) or ""
        for name in _QUALITY_NUMBERS:
            facts[name] = float(record[name]) if record.get(name) else None
        for name in ("height", "width", "truth_px", "predicted_px", "ignored_px"):
            facts[name] = int(record[name])
        for name in ("row_mm", "col_mm"):
            facts[name] = float(record[name]) if record[name] else None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{path}, line {number}: {error}; expected a number") from error
    return Row(**facts, scores=Scores(**values))
