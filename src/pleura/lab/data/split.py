"""Splits of films into train, val and test, by patient.

A split is a table `id,split` with the names `train`, `val` and `test`. It is made without a random
generator: in each stratum (source and condition) the patients are ranked by the SHA-256 of the seed
and their name. So the same films give the same split on every machine and in any order.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias

from pleura.core.errors import DataError, UsageError
from pleura.lab.data.film import Film

__all__ = [
    "NAMES",
    "PUBLISHED",
    "By",
    "Unit",
    "add_validation_split",
    "apply_split",
    "condition_of",
    "part_named",
    "rank",
    "read_patients",
    "read_split",
    "read_text",
    "rows",
    "separator_of",
    "split",
    "split_csv",
    "unit_of",
    "without_copies",
]

log = logging.getLogger(__name__)

NAMES = ("train", "val", "test")
"""The parts of a split."""

PART_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
"""Usual word for a part, in lower case -> its name."""

PUBLISHED = ("shenzhen-montgomery-published",)
"""Splits that ship with the package, by name."""

By: TypeAlias = Literal["patient", "film"]
Unit: TypeAlias = tuple[str, str]
"""(source, patient): films of a unit stay together. The same name in two sources is two
patients."""


def split(
    films: Sequence[Film],
    *,
    test: float = 0.2,
    val: float = 0.1,
    seed: int = 42,
    by: By = "patient",
) -> list[Film]:
    """Set `split` of the films, which keep their order; films without a mask get None.

    `test` is a share of the films with masks, `val` a share of the rest, both rounded up: 704
    films at 0.2 and 0.1 give 141 test, 57 val and 506 train. Each source and condition is
    represented alike. With `by="patient"` all films of a patient stay together, which can move
    a count by up to the films of one patient.

    Raises `UsageError` for a share outside [0, 1), or an unknown `by`.
    """
    for name, share in (("test", test), ("val", val)):
        if not 0 <= share < 1:
            raise UsageError(f"{name} is a share of the films in [0, 1), got {share}")
    if by not in ("patient", "film"):
        raise UsageError(f"a split is made by 'patient' or by 'film', got {by!r}")
    rest = [film for film in films if film.channels]
    chosen: dict[Unit, str] = {}
    for name, share in (("test", test), ("val", val)):
        taken = _draw(rest, share, f"{seed}/{name}", by)
        chosen |= dict.fromkeys(taken, name)
        rest = [film for film in rest if unit_of(film, by) not in taken]
    return [
        replace(film, split=chosen.get(unit_of(film, by), "train") if film.channels else None)
        for film in films
    ]


def add_validation_split(
    films: Sequence[Film],
    share: float = 0.1,
    seed: int = 42,
    *,
    copies: Mapping[str, str] | None = None,
) -> list[Film]:
    """The films, in their order, with a `val` part in every source that has none.

    The part is taken from the source's `train` films with masks, by patient, stratified by
    condition, and rounded up. A source with `val` films does not change, nor does a source with a
    single training patient; `test` films do not change either. `copies` maps a source to another
    one whose films it repeats: the same patients are taken from both.
    """
    has_val = {film.source for film in films if film.split == "val" and film.channels}
    divisible = [
        film
        for film in films
        if film.split == "train" and film.channels and film.source not in has_val
    ]
    sources = {film.source for film in divisible}
    copies = {name: original for name, original in (copies or {}).items() if original in sources}
    selected: set[Unit] = set()
    for source in sources - set(copies):
        own = [film for film in divisible if film.source == source]
        taken = _draw(own, share, f"{seed}/val", "patient")
        if taken != {unit_of(film, "patient") for film in own}:
            selected |= taken

    def unit(film: Film) -> Unit:
        return copies.get(film.source, film.source), film.patient or film.id

    return [
        replace(film, split="val") if film.split == "train" and unit(film) in selected else film
        for film in films
    ]


def without_copies(films: Sequence[Film]) -> list[Film]:
    """Remove train and val films whose file is a byte-for-byte copy of a test film's.

    Public sets contain the same film under two names. A training film must not be a test film.
    """
    sizes = {film.image: film.image.stat().st_size for film in films if film.image.is_file()}
    tested = {film.image for film in films if film.split == "test"}
    lengths = {sizes[path] for path in tested if path in sizes}
    contents = {_content(path) for path in tested if path in sizes}
    out = []
    for film in films:
        may_be_copy = film.split != "test" and sizes.get(film.image) in lengths
        if may_be_copy and _content(film.image) in contents:
            log.warning("%s is the same file as a film of the test split: left out", film.id)
        else:
            out.append(film)
    return out


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def apply_split(films: Sequence[Film], table: Mapping[str, str], *, name: str) -> list[Film]:
    """Set `split` of the films by `table` (id -> part); films that are not in it get None.

    Raises `DataError` if a film of the table is missing, since scores on a part of a test set
    cannot be compared. `name` is the split's name in the message.
    """
    missing = sorted(set(table) - {film.id for film in films})
    if missing:
        raise DataError(
            f"split {name}: {len(missing)} of its {len(table)} ids are not among the "
            f"{len(films)} films (first: {', '.join(missing[:3])}); complete the data, or use a "
            "split that names only films you have"
        )
    return [replace(film, split=table.get(film.id)) for film in films]


def read_split(source: str | Path) -> dict[str, str]:
    """Read a split (id -> part): a CSV file with columns id and split, or a name of `PUBLISHED`."""
    table: dict[str, str] = {}
    for row in rows(source):
        if row["split"] not in NAMES:
            raise DataError(
                f"split {source}: {row['id']} is in {row['split']!r}; known are {', '.join(NAMES)}"
            )
        if table.setdefault(row["id"], row["split"]) != row["split"]:
            raise DataError(f"split {source}: {row['id']} is in two parts; leave one row a film")
    return table


def read_patients(source: str | Path) -> dict[str, str]:
    """Read the patients (id -> patient) in a split's column `patient`; empty without it."""
    return {row["id"]: row["patient"] for row in rows(source) if row.get("patient")}


def rows(source: str | Path) -> list[dict[str, str]]:
    """The rows of a split. Raises `UsageError` or `DataError` if it is invalid."""
    if str(source) in PUBLISHED:
        text = files("pleura.lab.data").joinpath("splits", f"{source}.csv").read_text("utf-8")
    elif Path(source).is_file():
        text = read_text(Path(source))
    else:
        raise UsageError(
            f"split {source}: neither a CSV file nor the name of a published split; "
            f"published are {', '.join(PUBLISHED)}"
        )
    table = list(csv.DictReader(io.StringIO(text), delimiter=separator_of(text)))
    if not table or not {"id", "split"} <= set(table[0]):
        raise DataError(f"split {source}: expected a CSV with columns id and split, one row a film")
    filled = [row for row in table if row["id"]]
    return [{**row, "split": part_named(row["split"] or "")} for row in filled]


def read_text(path: Path) -> str:
    """The text of a CSV file in UTF-8, Latin-1, or UTF-16 with a byte order mark."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def separator_of(text: str) -> str:
    """The separator of a CSV text: comma, semicolon or tab, the most frequent in its first line."""
    return max(",;\t", key=text.partition("\n")[0].count)


def part_named(text: str) -> str:
    """The part of a split that a usual word means, such as `Training` or `valid`; else the word."""
    word = text.strip()
    return PART_WORDS.get(word.lower(), word)


def split_csv(films: Iterable[Film]) -> str:
    """The table `id,split` of the films that have one, sorted by id, as CSV text.

    If patients are known, a column `patient` states them for whoever uses the split.
    """
    divided = sorted((film.id, str(film.split), film.patient) for film in films if film.split)
    known = any(patient not in ("", name) for name, _, patient in divided)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("id", "split", "patient") if known else ("id", "split"))
    writer.writerows(row if known else row[:2] for row in divided)
    return out.getvalue()


def condition_of(films: Sequence[Film], by: By) -> dict[Unit, str]:
    """The condition of each unit: of several, the first by name."""
    conditions: dict[Unit, str] = {}
    for film in films:
        unit = unit_of(film, by)
        conditions[unit] = min(conditions.get(unit, film.condition), film.condition)
    return conditions


def unit_of(film: Film, by: By) -> Unit:
    """The films that stay together with a film."""
    return (film.source, film.patient or film.id) if by == "patient" else (film.source, film.id)


def _draw(films: Sequence[Film], share: float, salt: str, by: By) -> set[Unit]:
    """Units that hold `share` of the films, taken evenly from every source and condition."""
    counts = Counter(unit_of(film, by) for film in films)
    conditions = condition_of(films, by)
    strata: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit in counts:
        strata[unit[0], conditions[unit]].append(unit)
    taken: set[Unit] = set()
    films_seen = films_taken = 0
    for key in sorted(strata):
        ranked = sorted(strata[key], key=lambda unit: rank(unit, salt))
        films_seen += sum(counts[unit] for unit in ranked)
        # The goal is cumulative, so that the next stratum corrects the rounding of this one.
        goal = math.ceil(share * films_seen - 1e-9)
        for unit in ranked:
            if 2 * (goal - films_taken) > counts[unit]:  # the count comes nearer to the goal
                taken.add(unit)
                films_taken += counts[unit]
    return taken


def rank(unit: Unit, salt: str) -> str:
    """The place of a unit in a random order, the same on every machine."""
    return hashlib.sha256("\0".join((salt, *unit)).encode()).hexdigest()
