"""The known layouts, and recognising the layout of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pleura.core.errors import DataError, UsageError
from pleura.io.run.cells import readable
from pleura.lab.data.film import Film
from pleura.lab.data.folds import read_folds, with_fold
from pleura.lab.data.layouts import annotated, corrections, folder, manifest, nnunet
from pleura.lab.data.layouts.public_sets import jsrt, montgomery, shenzhen, shenzhen_montgomery
from pleura.lab.data.patients import with_patients
from pleura.lab.data.split import apply_split, read_patients, read_split

__all__ = ["LAYOUTS", "Layout", "read_films", "read_sets"]


@dataclass(frozen=True, slots=True)
class Layout:
    """How films and masks lie on disk."""

    name: str
    expects: str
    """The required files, for messages."""

    matches: Callable[[Path], bool]
    read: Callable[[Path], list[Film]]


LAYOUTS = (
    Layout("manifest", manifest.EXPECTS, manifest.matches, manifest.read_manifest),
    Layout("corrections", corrections.EXPECTS, corrections.matches, corrections.read),
    Layout("montgomery", montgomery.EXPECTS, montgomery.matches, montgomery.read),
    Layout(
        "shenzhen-montgomery",
        shenzhen_montgomery.EXPECTS,
        shenzhen_montgomery.matches,
        shenzhen_montgomery.read,
    ),
    Layout("shenzhen", shenzhen.EXPECTS, shenzhen.matches, shenzhen.read),
    Layout("nnunet", nnunet.EXPECTS, nnunet.matches, nnunet.read),
    Layout("folder", folder.EXPECTS, folder.matches, folder.read),
    Layout("annotations", annotated.EXPECTS, annotated.matches, annotated.read),
    Layout("jsrt", jsrt.EXPECTS, jsrt.matches, jsrt.read),
)
"""In the order in which `auto` tries them: the most specific first."""


def read_sets(
    paths: Sequence[str | Path],
    *,
    layout: str = "auto",
    split: str | Path | None = None,
    fold: int | None = None,
    patients: str | None = None,
) -> list[Film]:
    """The films of several data sets, as `read_films` reads each; one split holds for all.

    With `fold` the films of that fold of the split are `val`, and those of other folds `train`.

    Raises `UsageError` if the split does not have the fold.
    """
    films = [film for path in paths for film in read_films(path, layout=layout, patients=patients)]
    if split is None:
        if fold is not None:
            raise UsageError("--fold takes a fold of --splits; give that file too")
        return films
    named = read_split(split)
    _require_distinct(
        [film for film in films if film.id in named],
        f"split {split} names films by id, but several data sets have this id: rename one film",
    )
    films = _divided(films, split)
    if fold is None:
        return films
    folds = read_folds(split)
    if fold not in folds.values():
        raise UsageError(f"split {split} has {max(folds.values())} folds, and no fold {fold}")
    return [with_fold(film, folds, fold) for film in films]


def read_films(
    path: str | Path,
    *,
    layout: str = "auto",
    split: str | Path | None = None,
    patients: str | None = None,
) -> list[Film]:
    """The films of a data set on disk, in a fixed order; their pixels are not read yet.

    `layout` is a name in `LAYOUTS`, or `auto`. `split` is a CSV file with columns id and split
    (and patient), the name of a published one (`shenzhen-montgomery-published`), or None for the
    splits of the set itself. `patients` is a pattern of ids; see `lab.data.patients`.

    Raises `DataError` if no layout is recognised, or its files are missing; `UsageError` for an
    unknown layout or split.
    """
    where = Path(path)
    if not where.exists():
        raise DataError(f"{where}: no such folder or manifest")
    chosen, where = _recognise(where) if layout == "auto" else (_named(layout), where)
    films = [_with_readable_names(film) for film in chosen.read(where)]
    _require_distinct(films, f"{where}: an id names one film")
    if not films:
        raise DataError(f"{where}: no film here; layout {chosen.name} expects {chosen.expects}")
    films = with_patients(films, patients)
    return films if split is None else _divided(films, split)


def _with_readable_names(film: Film) -> Film:
    """The film with names that are valid Unicode, for tables and pages; its paths stay."""
    return replace(
        film,
        id=readable(film.id),
        source=readable(film.source),
        condition=readable(film.condition),
        patient=readable(film.patient),
    )


def _require_distinct(films: Sequence[Film], reason: str) -> None:
    """Raise `DataError` if two films have the same id."""
    repeated = [name for name, count in Counter(film.id for film in films).items() if count > 1]
    if repeated:
        raise DataError(
            f"{len(repeated)} ids occur more than once (first: {repeated[0]}); {reason}"
        )


def _divided(films: list[Film], split: str | Path) -> list[Film]:
    stated = read_patients(split)
    films = [replace(film, patient=stated.get(film.id, film.patient)) for film in films]
    return apply_split(films, read_split(split), name=str(split))


def _named(name: str) -> Layout:
    for layout in LAYOUTS:
        if layout.name == name:
            return layout
    raise UsageError(f"unknown layout {name!r}; {_known()}")


def _recognise(path: Path) -> tuple[Layout, Path]:
    """The layout of `path`, or of the one folder in it that has one (as archives unpack).

    Several folders with annotations beside their films are one data set.
    """
    layout_here = _first_match(path)
    if layout_here:
        return layout_here, path
    entries = sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
    matches = [(layout, entry) for entry in entries if (layout := _first_match(entry))]
    if len(matches) == 1:
        return matches[0]
    if matches and all(
        layout.read is annotated.read and annotated.is_plain(entry) for layout, entry in matches
    ):
        return matches[0][0], path  # folders of patients, with annotations beside the films
    if matches:
        names = ", ".join(f"{entry.name} ({layout.name})" for layout, entry in matches)
        raise DataError(f"{path}: several data sets here: {names}; name one of these folders")
    raise DataError(f"{path}: no layout recognised; {_known()}")


def _first_match(path: Path) -> Layout | None:
    return next((layout for layout in LAYOUTS if layout.matches(path)), None)


def _known() -> str:
    lines = "".join(f"\n  {layout.name}: {layout.expects}" for layout in LAYOUTS)
    return f"known are{lines}\nname one with --layout to read why it does not fit"
