"""Folds for cross-validation: every film that is not tested validates in one of them."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film
from pleura.lab.data.split import By, Unit, condition_of, rank, rows, split, split_csv, unit_of

__all__ = ["folds_csv", "folds_of", "read_folds", "with_fold"]


def folds_of(
    films: Sequence[Film], count: int, *, test: float = 0.2, seed: int = 42, by: By = "patient"
) -> tuple[list[Film], dict[str, int]]:
    """(the films with their split, id -> fold from 1 to `count`); test films have no fold.

    The split is that of the first fold: its films are `val`. Test films are those of `split` with
    the same share and seed. Films of a patient are in one fold, and each source and condition is
    represented alike.

    Raises `UsageError` for a `count` below 2, and `DataError` if there are fewer patients.
    """
    if count < 2:
        raise UsageError(f"cross-validation needs 2 folds or more, got {count}")
    divided = split(films, test=test, val=0.0, seed=seed, by=by)
    rest = [film for film in divided if film.split == "train"]
    sizes = Counter(unit_of(film, by) for film in rest)
    if len(sizes) < count:
        raise DataError(
            f"{len(sizes)} patients are left to divide into {count} folds; take fewer folds, or a "
            "smaller share of test films"
        )
    strata: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit, condition in condition_of(rest, by).items():
        strata[unit[0], condition].append(unit)
    filled, fold_of = [0] * count, {}
    for key in sorted(strata):
        for unit in sorted(strata[key], key=lambda unit: rank(unit, f"{seed}/folds")):
            smallest = min(range(count), key=lambda fold: filled[fold])
            filled[smallest] += sizes[unit]
            fold_of[unit] = smallest + 1
    folds = {film.id: fold_of[unit_of(film, by)] for film in rest}
    return [with_fold(film, folds, 1) for film in divided], folds


def with_fold(film: Film, folds: Mapping[str, int], fold: int) -> Film:
    """The film with the split of a fold: `val` in it, `train` in another one, or its own split."""
    own = folds.get(film.id)
    return film if own is None else replace(film, split="val" if own == fold else "train")


def folds_csv(films: Sequence[Film], folds: Mapping[str, int]) -> str:
    """The table of `split_csv` with a column `fold`, empty for test films."""
    table = list(csv.reader(io.StringIO(split_csv(films))))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*table[0], "fold"])
    writer.writerows([*row, folds.get(row[0], "")] for row in table[1:])
    return out.getvalue()


def read_folds(source: str | Path) -> dict[str, int]:
    """Read the folds (id -> fold) of a split's column `fold`.

    Raises `UsageError` if there is no such column, and `DataError` for a fold that is no number.
    """
    table = {row["id"]: row["fold"] for row in rows(source) if row.get("fold")}
    if not table:
        raise UsageError(
            f"split {source}: no column fold; make one with `pleura data split --folds 5`"
        )
    for name, fold in table.items():
        if not fold.isdecimal():
            raise DataError(f"split {source}: the fold of {name} is {fold!r}, not a whole number")
    return {name: int(fold) for name, fold in table.items()}
