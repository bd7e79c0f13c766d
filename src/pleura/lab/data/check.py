"""Checking a data set: every film and mask is opened, and films are compared with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.arrays import Mask
from pleura.core.card import DEFINITIONS
from pleura.core.errors import DataError, FilmError
from pleura.io.images.exif import orientation_of_file
from pleura.io.images.read_masks import MaskFile, distinct_values
from pleura.lab.data.checks.border import (
    BLOCK,
    CLEAR,
    LOOSE,
    BorderView,
    border_view,
    exchanged,
    misplaced,
)
from pleura.lab.data.duplicates import Thumbnail, same_bytes, similar_films, thumbnail
from pleura.lab.data.film import Film, Labels
from pleura.lab.data.findings import CheckReport, Finding, summarise, unlisted_pictures
from pleura.lab.data.labels import target_for
from pleura.lab.data.layouts import read_films
from pleura.lab.data.layouts.files import MASK_SUFFIXES, is_picture
from pleura.lab.data.split import NAMES
from pleura.runtime.threads import usable_cpus

__all__ = ["check", "check_files"]

ASPECT_TOLERANCE = 0.01
"""The largest difference of aspect between film and mask; resizing rounds to whole pixels."""

EXPECTED_PIECES = {"field": 2, "right_field": 1, "left_field": 1}
"""The number of components of a correct mask of a channel. Masks by `whole` are not checked,
because devices and text divide them."""

SPECKS_SHARE = 0.005
"""The largest area of all further components that are called specks, as a share of the mask."""

FULL_SHARE = 0.9
"""The share of labelled pixels from which a mask is called full."""

INVERTED_EDGE_SHARE = 0.5
"""The share of labelled pixels at the edge of a film from which a mask is called inverted."""

AREA_SHARES = (0.02, 0.75)
"""The smallest and the largest share of a film that both lungs cover in a plausible mask. Of 1,707
public masks the smallest has 0.08, the largest 0.66."""

SEVERAL_VALUES_SHARE = 0.05
"""The share of labelled pixels from which a second value is a structure, not a blurred edge."""

HIDES_THE_BORDER = frozenset(
    {
        *("empty-mask", "full-mask", "inverted-mask", "bright-ground", "several-values"),
        *("other-aspect", "implausible-area", "half-labelled"),
    }
)
"""Findings that explain why the border of a mask does not fit its film."""

SHOWN_VALUES = 6
"""The largest number of values that a finding lists."""

SIDES = (("right_field", "left_field"), ("right_whole", "left_whole"))


@dataclass(frozen=True, slots=True, eq=False)
class _CheckedFilm:
    """The result of checking one film."""

    findings: tuple[Finding, ...]
    size: tuple[int, int] | None = None
    thumbnail: Thumbnail | None = None
    border: BorderView | None = None


def check(
    films: Sequence[Film] | str | Path, *, on_film: Callable[[], None] = lambda: None
) -> CheckReport:
    """Check a data set: films of `read_films`, or the path for it.

    `on_film` is called after each film. Films and masks that cannot be read are findings. Raises
    `DataError` if the path holds no data set.
    """
    if isinstance(films, str | Path):
        films = read_films(films)

    def check_one(film: Film) -> _CheckedFilm:
        result = _check_film(film)
        on_film()
        return result

    checked: list[_CheckedFilm] = []
    findings: list[Finding] = []
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for start in range(0, len(films), BLOCK):
            block = list(pool.map(check_one, films[start : start + BLOCK]))
            findings += _borders(films[start : start + BLOCK], [film.border for film in block])
            checked += [replace(film, border=None) for film in block]
    findings += [finding for film in checked for finding in film.findings]
    findings += unlisted_pictures(films, _pictures_in_folders(films))
    findings += _duplicates(films, [film.thumbnail for film in checked])
    findings += _divided_patients(films)
    return summarise(films, (film.size for film in checked), findings)


def _check_film(film: Film) -> _CheckedFilm:
    findings = list(_check_channels(film))
    size = small = pixels = border = None
    try:
        pixels = film.read_image().pixels
        size, small = pixels.shape, thumbnail(pixels)
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
            findings += _check_labels(film.id, labels)
            findings += _check_sizes(film.id, size, labels.size)
            lungs = _lungs(labels)
            if lungs is not None:
                if not any(finding.kind == "inverted-mask" for finding in findings):
                    findings += _check_area(film.id, lungs)
                border = None if pixels is None else border_view(pixels, lungs)
    if any(finding.kind in HIDES_THE_BORDER for finding in findings):
        border = None
    return _CheckedFilm(tuple(findings), size, small, border)


def _lungs(labels: Labels) -> Mask | None:
    """The mask of both lungs, by whichever definition is labelled; None if none is."""
    for definition in DEFINITIONS:
        lungs = target_for(labels, definition)
        if lungs is not None:
            return lungs
    return None


def _borders(films: Sequence[Film], views: Sequence[BorderView | None]) -> Iterator[Finding]:
    """Findings about masks whose border is not that of the lungs of their film."""
    other = {film: (mask, contrast) for film, mask, contrast in exchanged(views)}
    for index, (film, view) in enumerate(zip(films, views, strict=True)):
        if view is None:
            continue
        place, fit = misplaced(view) or ("", -1.0)
        mask, other_fit = other.get(index, (index, -1.0))
        if other_fit > fit:
            yield Finding("mask-of-another-film", film.id, f"that of {films[mask].id} fits it")
        elif place:
            yield Finding("misplaced-mask", film.id, f"it fits if it is {place}")
        elif view.contrast <= -CLEAR:
            yield Finding("negative-film", film.id)
        elif view.contrast < LOOSE:
            yield Finding("loose-border", film.id)


def _check_channels(film: Film) -> Iterator[Finding]:
    """Findings about the labelled channels, without opening a file."""
    if not film.channels:
        yield Finding("film-without-mask", film.id)
    for pair in SIDES:
        labelled = [channel for channel in pair if channel in film.channels]
        if len(labelled) == 1:
            yield Finding("half-labelled", film.id, f"only {labelled[0]}")


def _check_sizes(
    name: str, film: tuple[int, int] | None, mask: tuple[int, int]
) -> Iterator[Finding]:
    if film is None or film == mask:
        return
    detail = f"film {film[1]} x {film[0]}, mask {mask[1]} x {mask[0]} px"
    aspect = film[1] * mask[0] / (film[0] * mask[1])
    same = abs(aspect - 1) <= ASPECT_TOLERANCE
    yield Finding("other-size" if same else "other-aspect", name, detail)


def _check_labels(name: str, labels: Labels) -> Iterator[Finding]:
    empty = sorted(channel for channel, mask in labels.targets.items() if not mask.any())
    if len(empty) == len(labels.targets):
        yield Finding("empty-mask", name)
        return
    if empty:
        yield Finding("empty-structure", name, ", ".join(empty))
    implausible = dict(_implausible_masks(labels))
    for kind in sorted(set(implausible.values())):
        named = sorted(name for name, kind_of_mask in implausible.items() if kind_of_mask == kind)
        yield Finding(kind, name, ", ".join(named))
    for channel, pieces in EXPECTED_PIECES.items():
        if channel in labels.targets and channel not in (*empty, *implausible):
            yield from _check_components(name, channel, labels.targets[channel], pieces)
    for right, left in SIDES:
        columns = [
            _mean_column(labels.targets[channel])
            for channel in (right, left)
            if channel in labels.targets and channel not in empty
        ]
        if len(columns) == 2 and columns[0] > columns[1]:
            yield Finding(
                "sides-swapped",
                name,
                f"{right} at column {columns[0]:.0f}, {left} at {columns[1]:.0f}",
            )


def _implausible_masks(labels: Labels) -> Iterator[tuple[str, str]]:
    """(channel, kind of finding) of masks that are full or inverted."""
    for channel, mask in labels.targets.items():
        edge = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        if mask.mean() > FULL_SHARE:
            yield channel, "full-mask"
        elif edge.mean() > INVERTED_EDGE_SHARE:
            yield channel, "inverted-mask"


def _check_area(name: str, lungs: Mask) -> Iterator[Finding]:
    share, (least, most) = float(lungs.mean()), AREA_SHARES
    if 0 < share < least or most < share <= FULL_SHARE:
        yield Finding("implausible-area", name, f"{share:.1%} of the film")


def _check_components(name: str, channel: str, mask: Mask, expected: int) -> Iterator[Finding]:
    labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count > expected:
        areas = sorted(np.bincount(labelled.ravel())[1:].tolist(), reverse=True)
        shown = ", ".join(map(str, areas[:6])) + (", ..." if count > 6 else "")
        specks = sum(areas[expected:]) <= SPECKS_SHARE * sum(areas)
        kind = "specks" if specks else "many-pieces"
        yield Finding(kind, name, f"{channel}: {count} pieces of {shown} px")
    elif count < expected:
        yield Finding("one-piece", name, channel)


def _mean_column(mask: Mask) -> float:
    return float(np.average(np.arange(mask.shape[1]), weights=mask.sum(axis=0)))


def _pictures_in_folders(films: Sequence[Film]) -> list[Path]:
    """All pictures in the folders of films and masks."""
    paths = [film.image for film in films] + [part.path for film in films for part in film.masks]
    folders = dict.fromkeys(path.absolute().parent for path in paths)
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if is_picture(path, MASK_SUFFIXES)
    ]


def _duplicates(films: Sequence[Film], thumbnails: Sequence[Thumbnail | None]) -> Iterator[Finding]:
    reported: set[frozenset[int]] = set()
    for group in same_bytes([film.image for film in films]):
        reported |= {frozenset((a, b)) for a in group for b in group}
        parts = {films[index].split for index in group} & set(NAMES)
        kind = "duplicate-across-splits" if len(parts) > 1 else "duplicate"
        first, *others = (_with_split(films[index]) for index in group)
        yield Finding(kind, films[group[0]].id, " = ".join((first, *others)))
    split = [index for index, film in enumerate(films) if film.split in NAMES]
    readable = [index for index in split if thumbnails[index] is not None]
    small = [picture for index in readable if (picture := thumbnails[index]) is not None]
    for a, b, similarity in similar_films(small):
        one, other = films[readable[a]], films[readable[b]]
        if one.split != other.split and frozenset((readable[a], readable[b])) not in reported:
            detail = f"{_with_split(one)} ~ {_with_split(other)}, similarity {similarity:.3f}"
            yield Finding("near-duplicate-across-splits", one.id, detail)


def _divided_patients(films: Sequence[Film]) -> Iterator[Finding]:
    parts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for film in films:
        if film.split in NAMES:
            parts[film.source, film.patient or film.id].setdefault(str(film.split), film.id)
    for (source, patient), by_part in sorted(parts.items()):
        if len(by_part) > 1:
            examples = ", ".join(f"{name} ({part})" for part, name in sorted(by_part.items()))
            yield Finding("patient-across-splits", f"{source} {patient}", examples)


def _with_split(film: Film) -> str:
    return f"{film.id} ({film.split or 'no split'})"


def check_files(film: Film, masks: Mapping[Path, MaskFile]) -> Iterator[Finding]:
    """Findings about the mask files of a film, as `Film.read_masks` gives them."""
    turned = orientation_of_file(film.image)
    for path, mask in masks.items():
        if mask.lossy:
            yield Finding("lossy-mask", film.id, path.name)
        if mask.bright_ground:
            yield Finding("bright-ground", film.id, path.name)
        if mask.turned != turned:
            detail = f"the film's tag has {turned}, that of {path.name} {mask.turned}"
            yield Finding("turned-film", film.id, detail)
        yield from _check_values(film, path, mask)


def _check_values(film: Film, path: Path, mask: MaskFile) -> Iterator[Finding]:
    """A finding if a mask of one structure has several values, or if values are undeclared."""
    declared = film.declared(path)
    shown = mask.read_as(declared)
    values = [value for value in distinct_values(shown) if value]
    others = [value for value in values if value not in declared]
    if not declared and (len(values) < 2 or mask.lossy):  # a lossy mask has its own finding
        return
    if others:
        listed = ", ".join(map(str, others[:SHOWN_VALUES])) + (
            ", ..." if len(others) > SHOWN_VALUES else ""
        )
        several = not declared and _second_share(shown) >= SEVERAL_VALUES_SHARE
        kind = "several-values" if several else "undeclared-values"
        meaning = "none of them is used" if declared else "all of them count"
        yield Finding(kind, film.id, f"{path.name} holds {listed}; {meaning}")


def _second_share(values: NDArray[np.integer[Any]]) -> float:
    """The share of the second most frequent value among the non-zero ones."""
    counts = np.sort(np.unique(values[values != 0], return_counts=True)[1])
    return float(counts[-2] / counts.sum()) if len(counts) > 1 else 0.0
