"""Checks of the masks of one film: values, area, border, components and size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.arrays import Mask
from pleura.core.card import DEFINITIONS
from pleura.io.images.exif import orientation_of_file
from pleura.io.images.read_masks import MaskFile, distinct_values
from pleura.lab.data.film import Film, Labels
from pleura.lab.data.findings import Finding
from pleura.lab.data.labels import target_for

__all__ = [
    "check_channels",
    "check_files",
    "check_labels",
    "check_sizes",
    "empty_structures",
    "lies_in_one_half",
    "lungs_of",
]

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

BLURRED_VALUES = 8
"""The number of values from which a mask of one structure has blurred edges."""

ONE_HALF_SHARE = 0.97
"""The share of a mask in one half of the film from which it is called one-sided."""

SHOWN_VALUES = 6
"""The largest number of values that a finding lists."""

SIDES = (("right_field", "left_field"), ("right_whole", "left_whole"))


def check_channels(film: Film) -> Iterator[Finding]:
    """Findings about the labelled channels, without opening a file."""
    if not film.channels:
        yield Finding("film-without-mask", film.id)
    for pair in SIDES:
        labelled = [channel for channel in pair if channel in film.channels]
        if len(labelled) == 1:
            yield Finding("half-labelled", film.id, f"only {labelled[0]}")


def check_sizes(
    name: str, film: tuple[int, int] | None, mask: tuple[int, int]
) -> Iterator[Finding]:
    """A finding if film and mask, (H, W), differ in size or aspect."""
    if film is None or film == mask:
        return
    detail = f"film {film[1]} x {film[0]}, mask {mask[1]} x {mask[0]} px"
    aspect = film[1] * mask[0] / (film[0] * mask[1])
    same = abs(aspect - 1) <= ASPECT_TOLERANCE
    yield Finding("other-size" if same else "other-aspect", name, detail)


def check_labels(name: str, labels: Labels) -> Iterator[Finding]:
    """Findings about the area, the border and the components of a film's labels."""
    empty = sorted(empty_structures(labels))
    if not any(mask.any() for mask in labels.targets.values()):
        yield Finding("empty-mask", name)
        return
    if empty:
        yield Finding("empty-structure", name, ", ".join(empty))
    implausible = dict(_implausible_masks(labels))
    if not implausible:
        yield from _check_area(name, lungs_of(labels))
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


def empty_structures(labels: Labels) -> frozenset[str]:
    """The structures without a pixel; none if the whole mask is empty."""
    empty = frozenset(channel for channel, mask in labels.targets.items() if not mask.any())
    return empty if len(empty) < len(labels.targets) else frozenset()


def _implausible_masks(labels: Labels) -> Iterator[tuple[str, str]]:
    """(channel, kind of finding) of masks that are full or inverted."""
    for channel, mask in labels.targets.items():
        edge = np.concatenate((mask[0], mask[-1], mask[:, 0], mask[:, -1]))
        if mask.mean() > FULL_SHARE:
            yield channel, "full-mask"
        elif edge.mean() > INVERTED_EDGE_SHARE:
            yield channel, "inverted-mask"


def _check_area(name: str, lungs: Mask | None) -> Iterator[Finding]:
    share = 0.0 if lungs is None else float(lungs.mean())
    if 0 < share < AREA_SHARES[0] or AREA_SHARES[1] < share:
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
    named, declared = film.declared_names(path), film.declared(path)
    if mask.lossy and not declared:  # a lossy mask has its own finding
        return
    by_value = bool(declared) or not mask.names
    shown = mask.read_as(declared) if by_value or mask.colours is None else mask.colours
    present = distinct_values(shown)
    values = [str(value) for value in present if value] if by_value else mask.names
    expected = named | {str(value) for value in declared}
    others = [value for value in values if value not in expected]
    if not others or (not expected and len(values) < 2):
        return
    several = not expected and _second_share(shown) >= SEVERAL_VALUES_SHARE
    listed = ", ".join(others[:SHOWN_VALUES]) + (", ..." if len(others) > SHOWN_VALUES else "")
    meaning = "none of them is used" if expected else "all of them count"
    blurred = not expected and len(values) >= BLURRED_VALUES
    kind = "several-values" if several else "blurred-mask" if blurred else "undeclared-values"
    yield Finding(kind, film.id, f"{path.name} holds {listed}; {meaning}")


def _second_share(values: NDArray[np.integer[Any]]) -> float:
    """The share of the second most frequent value among the non-zero ones."""
    counts = np.sort(np.unique(values[values != 0], return_counts=True)[1])
    return float(counts[-2] / counts.sum()) if len(counts) > 1 else 0.0


def lies_in_one_half(lungs: Mask) -> bool:
    """Whether nearly all of a mask of both lungs, (H, W), is left or right of the middle column."""
    columns = lungs.sum(axis=0)
    left = columns[: len(columns) // 2].sum() / max(1, columns.sum())
    return bool(max(left, 1 - left) > ONE_HALF_SHARE)


def lungs_of(labels: Labels) -> Mask | None:
    """The mask of both lungs, by whichever definition is labelled; None if none is."""
    for definition in DEFINITIONS:
        lungs = target_for(labels, definition)
        if lungs is not None:
            return lungs
    return None
