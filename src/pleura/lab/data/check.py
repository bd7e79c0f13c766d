"""Is a data set what it says it is? Every film and mask is opened, and all are compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from pleura.core.arrays import Mask
from pleura.core.errors import DataError, FilmError
from pleura.io.images.exif import orientation_of_file
from pleura.io.images.mask_files import MaskFile, distinct_values
from pleura.lab.data.duplicates import Look, look, same_bytes, same_looks
from pleura.lab.data.film import Film, Labels
from pleura.lab.data.findings import CheckReport, Finding, beside, summarise
from pleura.lab.data.layouts import read_films
from pleura.lab.data.layouts.files import MASK_SUFFIXES, is_picture
from pleura.lab.data.split import NAMES
from pleura.runtime.threads import usable_cpus

__all__ = ["check", "check_files"]


ASPECT_TOLERANCE = 0.01
"""Film and mask may differ in aspect by this share; resizing rounds to whole pixels."""

LUNGS = {"field": 2, "right_field": 1, "left_field": 1}
"""Pieces that a channel's mask should have. The `whole` masks here are cut by devices and text,
so their pieces tell nothing."""

SPECKS_SHARE = 0.005
"""Pieces beyond the lungs that hold at most this share of the mask are specks."""

FULL = 0.9
"""Share of the pixels from which a mask is full; lungs never fill a film so."""

AROUND = 0.5
"""Share of the pixels on the film's edge from which a mask is that of the background."""

SIDES = (("right_field", "left_field"), ("right_whole", "left_whole"))


@dataclass(frozen=True, slots=True, eq=False)
class _Examined:
    """A film that has been opened."""

    findings: tuple[Finding, ...]
    size: tuple[int, int] | None = None
    look: Look | None = None


def check(
    films: Sequence[Film] | str | Path, *, on_film: Callable[[], None] = lambda: None
) -> CheckReport:
    """Examine a data set: films as read by `read_films`, or the path to give it.

    `on_film` is called after each film, for a progress bar. Films and masks that cannot be read
    are findings; a path that holds no data set raises `DataError`.
    """
    if isinstance(films, str | Path):
        films = read_films(films)

    def one(film: Film) -> _Examined:
        examined = _examine(film)
        on_film()
        return examined

    with ThreadPoolExecutor(usable_cpus()) as pool:
        examined = list(pool.map(one, films))
    findings = [finding for each in examined for finding in each.findings]
    findings += beside(films, _neighbours(films))
    findings += _duplicates(films, [each.look for each in examined])
    findings += _divided_patients(films)
    return summarise(films, (each.size for each in examined), findings)


def _examine(film: Film) -> _Examined:
    findings = list(_by_name(film))
    size = seen = None
    try:
        pixels = film.read_image().pixels
        size, seen = pixels.shape, look(pixels)
    except (FilmError, OSError) as error:
        findings.append(Finding("unreadable-film", film.id, str(error)))
    if film.channels:
        try:
            masks = film.read_masks()
            labels = film.labels_of(masks)
        except DataError as error:
            findings.append(Finding("unreadable-mask", film.id, str(error)))
        else:
            findings += check_files(film, masks)
            findings += _on_labels(film.id, labels)
            findings += _on_sizes(film.id, size, labels.size)
    return _Examined(tuple(findings), size, seen)


def _by_name(film: Film) -> Iterator[Finding]:
    """What can be said without opening a file."""
    if not film.channels:
        yield Finding("film-without-mask", film.id)
    for pair in SIDES:
        there = [channel for channel in pair if channel in film.channels]
        if len(there) == 1:
            yield Finding("half-labelled", film.id, f"only {there[0]}")


def _on_sizes(name: str, film: tuple[int, int] | None, mask: tuple[int, int]) -> Iterator[Finding]:
    if film is None or film == mask:
        return
    detail = f"film {film[1]} x {film[0]}, mask {mask[1]} x {mask[0]} px"
    aspect = film[1] * mask[0] / (film[0] * mask[1])
    same = abs(aspect - 1) <= ASPECT_TOLERANCE
    yield Finding("other-size" if same else "other-aspect", name, detail)


def _on_labels(name: str, labels: Labels) -> Iterator[Finding]:
    empty = sorted(channel for channel, mask in labels.targets.items() if not mask.any())
    if len(empty) == len(labels.targets):
        yield Finding("empty-mask", name)
        return
    if empty:
        yield Finding("empty-structure", name, ", ".join(empty))
    wrong = dict(_on_share(labels))
    for kind in sorted(set(wrong.values())):
        named = sorted(channel for channel, told in wrong.items() if told == kind)
        yield Finding(kind, name, ", ".join(named))
    for channel, lungs in LUNGS.items():
        if channel in labels.targets and channel not in (*empty, *wrong):
            yield from _on_pieces(name, channel, labels.targets[channel], lungs)
    for right, left in SIDES:
        columns = [
            _mean_column(labels.targets[each])
            for each in (right, left)
            if each in labels.targets and each not in empty
        ]
        if len(columns) == 2 and columns[0] > columns[1]:
            yield Finding(
                "sides-swapped",
                name,
                f"{right} at column {columns[0]:.0f}, {left} at {columns[1]:.0f}",
            )


def _on_share(labels: Labels) -> Iterator[tuple[str, str]]:
    """(channel, kind of finding) of masks that no structure of a chest can have."""
    for channel, mask in labels.targets.items():
        edge = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        if mask.mean() > FULL:
            yield channel, "full-mask"
        elif edge.mean() > AROUND:
            yield channel, "inverted-mask"


def _on_pieces(name: str, channel: str, mask: Mask, lungs: int) -> Iterator[Finding]:
    labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count > lungs:
        areas = sorted(np.bincount(labelled.ravel())[1:].tolist(), reverse=True)
        shown = ", ".join(map(str, areas[:6])) + (", ..." if count > 6 else "")
        specks = sum(areas[lungs:]) <= SPECKS_SHARE * sum(areas)
        kind = "specks" if specks else "many-pieces"
        yield Finding(kind, name, f"{channel}: {count} pieces of {shown} px")
    elif count < lungs:
        yield Finding("one-piece", name, channel)


def _mean_column(mask: Mask) -> float:
    return float(np.average(np.arange(mask.shape[1]), weights=mask.sum(axis=0)))


def _neighbours(films: Sequence[Film]) -> list[Path]:
    """Every picture in a folder that holds a film or a mask."""
    paths = [film.image for film in films] + [part.path for film in films for part in film.masks]
    folders = dict.fromkeys(path.absolute().parent for path in paths)
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if is_picture(path, MASK_SUFFIXES)
    ]


def _duplicates(films: Sequence[Film], looks: Sequence[Look | None]) -> Iterator[Finding]:
    told: set[frozenset[int]] = set()
    for group in same_bytes([film.image for film in films]):
        told |= {frozenset((a, b)) for a in group for b in group}
        parts = {films[index].split for index in group} & set(NAMES)
        kind = "duplicate-across-splits" if len(parts) > 1 else "duplicate"
        first, *others = (_placed(films[index]) for index in group)
        yield Finding(kind, films[group[0]].id, " = ".join((first, *others)))
    split = [index for index, film in enumerate(films) if film.split in NAMES]
    seen = [index for index in split if looks[index] is not None]
    for a, b, likeness in same_looks([each for i in seen if (each := looks[i]) is not None]):
        one, other = films[seen[a]], films[seen[b]]
        if one.split != other.split and frozenset((seen[a], seen[b])) not in told:
            detail = f"{_placed(one)} ~ {_placed(other)}, likeness {likeness:.3f}"
            yield Finding("near-duplicate-across-splits", one.id, detail)


def _divided_patients(films: Sequence[Film]) -> Iterator[Finding]:
    parts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for film in films:
        if film.split in NAMES:
            parts[film.source, film.patient or film.id].setdefault(str(film.split), film.id)
    for (source, patient), found in sorted(parts.items()):
        if len(found) > 1:
            examples = ", ".join(f"{name} ({part})" for part, name in sorted(found.items()))
            yield Finding("patient-across-splits", f"{source} {patient}", examples)


def _placed(film: Film) -> str:
    return f"{film.id} ({film.split or 'no split'})"


SHOWN = 6
"""Values that are named; more are counted."""


def check_files(film: Film, masks: Mapping[Path, MaskFile]) -> Iterator[Finding]:
    """Findings on the mask files of a film, as `Film.read_masks` gives them."""
    turned = orientation_of_file(film.image)
    for path, mask in masks.items():
        if mask.lossy:
            yield Finding("lossy-mask", film.id, path.name)
        if mask.bright_ground:
            yield Finding("bright-ground", film.id, path.name)
        if mask.turned != turned:
            detail = f"the film's tag says {turned}, that of {path.name} {mask.turned}"
            yield Finding("turned-film", film.id, detail)
        yield from _on_values(film, path, mask)


def _on_values(film: Film, path: Path, mask: MaskFile) -> Iterator[Finding]:
    """A finding where a mask of one structure has several values, or others than are declared."""
    declared = film.declared(path)
    values = [value for value in distinct_values(mask.read_as(declared)) if value]
    others = [value for value in values if value not in declared]
    if not declared and (len(values) < 2 or mask.lossy):  # that has a finding of its own
        return
    if others:
        shown = ", ".join(map(str, others[:SHOWN])) + (", ..." if len(others) > SHOWN else "")
        meaning = "none of them is used" if declared else "all of them count"
        yield Finding("undeclared-values", film.id, f"{path.name} holds {shown}; {meaning}")
