"""Connected pieces of a mask: labelled, chosen, filled, only where the mask has pixels.

A film may have 20 million pixels and more, so each function works inside the smallest box that
holds the mask. Pieces hang together by pixel edges; a hole is what no path over edges and
corners joins to the outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pleura.core.types import Box, Mask

__all__ = ["Piece", "Pieces", "bounding_box", "fill_holes", "split_pieces", "window"]

BLOCK = 256
"""Rows counted at a time, so that copies stay in the cache."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One connected piece of a mask."""

    label: int
    """Its number in `Pieces.labels`."""

    area: int
    """Pixels."""

    box: Box
    """Inside the film."""

    x: float
    """Column of its centroid inside the film, counted from the left edge of column 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The connected pieces of a mask."""

    shape: tuple[int, int]
    """(H, W) of the film."""

    box: Box
    """Holds every piece."""

    labels: NDArray[np.int32]
    """The box's pixels: 0 outside the mask, else the number of a piece."""

    areas: NDArray[np.intp]
    """Pixels of every piece by label; 0 at label 0, which is the outside."""

    large: tuple[Piece, ...]
    """The pieces worth a look, largest first; specks stand in `areas` alone."""

    @property
    def count(self) -> int:
        """How many pieces there are, specks included."""
        return len(self.areas) - 1

    def label_at(self, row: int, column: int) -> int:
        """The label of one of the film's pixels; 0 outside the mask."""
        box = self.box
        if box.top <= row < box.bottom and box.left <= column < box.right:
            return int(self.labels[row - box.top, column - box.left])
        return 0

    def mask(self, labels: NDArray[np.intp] | list[int]) -> Mask:
        """(H, W) bool: the pieces of these labels at their place in the film."""
        wanted = np.zeros(len(self.areas), dtype=np.bool_)
        wanted[labels] = True
        whole = np.zeros(self.shape, dtype=np.bool_)
        inside = whole[window(self.box)]
        if wanted[1:].all():
            np.not_equal(self.labels, 0, out=inside)
        elif np.count_nonzero(wanted) == 1:
            np.equal(self.labels, wanted.argmax(), out=inside)
        else:
            np.take(wanted, self.labels, out=inside)
        return whole

    def chosen(self, labels: Sequence[int], *, share: float) -> Pieces:
        """What `split_pieces` gives for the mask of these labels, with nothing labelled again."""
        kept = [each for each in self.large if each.label in labels]
        if not kept or len(kept) < len(labels):
            raise ValueError(f"expected labels of large pieces, got {labels}")
        boxes = [each.box for each in kept]
        box = Box(
            min(each.top for each in boxes),
            min(each.left for each in boxes),
            max(each.bottom for each in boxes),
            max(each.right for each in boxes),
        )
        order = {label: new for new, label in enumerate(sorted(labels), start=1)}
        table = np.zeros(len(self.areas), dtype=np.int32)
        for label, new in order.items():
            table[label] = new
        top, left = box.top - self.box.top, box.left - self.box.left
        inside = self.labels[top : top + box.height, left : left + box.width]
        areas = np.array([0, *(self.areas[label] for label in order)], dtype=np.intp)
        large = [
            replace(each, label=order[each.label])
            for each in kept
            if each.area >= share * areas.max()
        ]
        return Pieces(self.shape, box, np.take(table, inside), areas, tuple(large))

    def touching(self, other: Mask) -> NDArray[np.intp]:
        """Labels of the pieces that share a pixel edge with `other`, (H, W) bool."""
        (height, width), box = self.shape, self.box
        near = np.zeros((box.height + 2, box.width + 2), dtype=np.bool_)  # a pixel more all round
        top, left = max(box.top - 1, 0), max(box.left - 1, 0)
        part = other[top : min(box.bottom + 1, height), left : min(box.right + 1, width)]
        row, column = top - box.top + 1, left - box.left + 1
        near[row : row + part.shape[0], column : column + part.shape[1]] = part
        beside = (near[:-2, 1:-1], near[2:, 1:-1], near[1:-1, :-2], near[1:-1, 2:])
        met = np.unique(np.concatenate([self.labels[each] for each in beside]))
        return met[met > 0].astype(np.intp)


def window(box: Box) -> tuple[slice, slice]:
    """The index that cuts `box` out of a film's array."""
    return slice(box.top, box.bottom), slice(box.left, box.right)


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box that holds every pixel of `mask`; None if it has none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return Box(top, int(columns[0]), bottom, int(columns[-1]) + 1)


def split_pieces(mask: Mask, *, share: float) -> Pieces:
    """The pieces of `mask`; those of at least `share` of the largest one's area are `large`."""
    from scipy import ndimage

    height, width = mask.shape
    box = bounding_box(mask)
    if box is None:
        nothing = np.zeros((0, 0), np.int32)
        return Pieces((height, width), Box(0, 0, 0, 0), nothing, np.zeros(1, np.intp), ())
    labels, count = ndimage.label(mask[window(box)], output=np.int32)
    areas = _areas(labels, count)
    large = np.flatnonzero(areas >= share * areas.max())
    large = large[large > 0]
    places = ndimage.find_objects(labels)
    found = [_piece(labels, int(label), places[label - 1], box) for label in large]
    found.sort(key=lambda each: (-each.area, each.label))
    return Pieces((height, width), box, labels, areas, tuple(found))


def _areas(labels: NDArray[np.int32], count: int) -> NDArray[np.intp]:
    """(count + 1,) pixels of each label, 0 for label 0; in blocks, for bincount copies to int64."""
    areas = np.zeros(count + 1, dtype=np.intp)
    for top in range(0, len(labels), BLOCK):
        areas += np.bincount(labels[top : top + BLOCK].ravel(), minlength=count + 1)
    areas[0] = 0
    return areas


def _piece(labels: NDArray[np.int32], label: int, at: tuple[slice, slice], box: Box) -> Piece:
    rows, columns = at
    counts = np.count_nonzero(labels[at] == label, axis=0)
    area = int(counts.sum())
    x = float(counts @ (np.arange(columns.start, columns.stop) + 0.5)) / area
    top, left = box.top, box.left
    own = Box(top + rows.start, left + columns.start, top + rows.stop, left + columns.stop)
    return Piece(label, area, own, left + x)


def fill_holes(mask: Mask, *, pieces: int | None = None) -> tuple[Mask, int, int]:
    """Fill what `mask` encloses -> the filled mask, the number of holes, their pixels.

    Where the number of its `pieces` is known, they are counted first, and looked for only if
    there are any.
    """
    from scipy import ndimage

    box = bounding_box(mask)
    if box is None or (pieces is not None and _euler(mask[window(box)]) == pieces):
        return mask, 0, 0
    around = np.pad(~mask[window(box)], 1, constant_values=True)
    labels, count = ndimage.label(around, structure=np.ones((3, 3)), output=np.int32)
    holes = count - 1  # the padding makes one piece of all that lies outside
    if not holes:
        return mask, 0, 0
    inside = (labels > 0) & (labels != labels[0, 0])
    filled = mask.copy()
    filled[window(box)] |= inside[1:-1, 1:-1]
    return filled, holes, int(np.count_nonzero(inside))


def _euler(mask: Mask) -> int:
    """Pieces less holes: pixels, less pairs of neighbours, plus full squares of four.

    Gray 1971, IEEE Trans. Computers C-20:551, for pieces that hang together by edges.
    """
    number = 0
    for top in range(0, len(mask), BLOCK):
        rows = mask[top : top + BLOCK + 1]  # one more, for the pairs across
        own, below = rows[:BLOCK], rows[1:]
        beside = own[:, 1:] & own[:, :-1]
        under = own[: len(below)] & below
        counted = (own, beside, under, under[:, 1:] & under[:, :-1])
        pixels, pairs_across, pairs_down, squares = (int(np.count_nonzero(c)) for c in counted)
        number += pixels - pairs_across - pairs_down + squares
    return number
