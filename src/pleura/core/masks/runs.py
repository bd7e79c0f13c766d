"""Runs: a mask as sequences of neighbouring pixels in its rows.

A lung on a film of 20 megapixels has millions of pixels, but only a few thousand runs. They are
found in one pass over the mask; all other steps are arithmetic on short arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask
from pleura.core.types import Box

__all__ = ["Runs", "find_gaps", "find_runs", "label_runs"]

# No library is used, because components, holes, contours and the seam are all computed from these
# runs, and no library gives runs to numpy.

BLOCK = 2**17
"""The pixels of a mask that are searched at a time; their copies fit into the CPU's cache."""

WORD = 8
"""The pixels, one byte each, that are read as one number. In most numbers no run begins or ends."""

LONG_RUN = 128
"""The mean length of a run and the gap behind it, px, from which runs are painted one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """N runs, in the order of the film.

    A place is the number of a pixel, counted row by row. Each row is counted with one more pixel,
    which is never in a run. So no run is longer than a row, and no run ends where the first run of
    the next row begins.
    """

    shape: tuple[int, int]
    """(H, W) of the film."""

    begins: NDArray[np.intp]
    """(N,) places, row * (W + 1) + column, of their first pixels."""

    ends: NDArray[np.intp]
    """(N,) places one past their last pixels."""

    def __len__(self) -> int:
        return len(self.begins)

    @property
    def step(self) -> int:
        """The difference between a place and the one below it."""
        return self.shape[1] + 1

    @property
    def rows(self) -> NDArray[np.intp]:
        """(N,) the row of each run."""
        rows: NDArray[np.intp] = self.begins // self.step
        return rows

    @property
    def lengths(self) -> NDArray[np.intp]:
        """(N,) the pixels of each run."""
        return self.ends - self.begins

    def pick(self, which: NDArray[np.bool_]) -> Runs:
        """The runs at which (N,) `which` is true."""
        return Runs(self.shape, self.begins[which], self.ends[which])

    def overlapping(
        self, other: Runs, step: int, *, corners: bool = False
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Two (N,) arrays: the first `other` run that a run overlaps, and one past the last.

        The runs are first moved by `step`. With `corners`, runs that touch at an end count too.
        """
        reach = 1 if corners else 0
        first = np.searchsorted(other.ends, self.begins + (step - reach), side="right")
        past = np.searchsorted(other.begins, self.ends + (step + reach), side="left")
        return first, past

    def paint(self, mask: Mask, value: bool = True) -> None:
        """Write `value` into (H, W) `mask` at the pixels of these runs."""
        if not len(self):
            return
        rows = self.rows
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        if len(self) * LONG_RUN < (bottom - top) * self.step:
            starts = rows * self.step
            columns = (self.begins - starts).tolist(), (self.ends - starts).tolist()
            for row, begin, end in zip(rows.tolist(), *columns, strict=True):
                mask[row, begin:end] = value
            return
        edges = np.stack((self.begins, self.ends), axis=1).ravel()
        lengths = np.diff(edges, prepend=top * self.step, append=bottom * self.step)
        inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
        np.copyto(mask[top:bottom], value, where=inside.reshape(-1, self.step)[:, :-1])


def find_runs(mask: Mask, box: Box) -> Runs:
    """The runs of (H, W) `mask` inside `box`."""
    height, width = mask.shape
    row = box.width // WORD * WORD + WORD  # at least one pixel more, between two rows
    lines = max(1, BLOCK // row)
    padded = np.zeros(lines * row + 1, dtype=np.bool_)
    grid = padded[:-1].reshape(lines, row)[:, 1 : box.width + 1]
    parts = [np.zeros(0, dtype=np.intp)]
    for top in range(box.top, box.bottom, lines):
        part = mask[top : min(top + lines, box.bottom), box.left : box.right]
        grid[: len(part)] = part
        size = len(part) * row
        edges = _nonzero(padded[:size] ^ padded[1 : size + 1])
        edges += edges // row * (width + 1 - row) + (top * (width + 1) + box.left)
        parts.append(edges)
    begins, ends = np.ascontiguousarray(np.concatenate(parts).reshape(-1, 2).T)
    return Runs((height, width), begins, ends)


def _nonzero(edges: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`flatnonzero` of an array whose size is a multiple of WORD, quick where few are true."""
    words = np.flatnonzero(edges.view(np.uint64))
    at = np.flatnonzero(edges.reshape(-1, WORD)[words])
    places: NDArray[np.intp] = words[at // WORD] * WORD + at % WORD
    return places


def find_gaps(runs: Runs) -> Runs:
    """The gaps between `runs`, with the gap before the first run and that after the last one.

    A gap from the last run of one row to the first run of a later row includes the film's edge, so
    all of it lies outside the mask. It stays one gap.
    """
    before, after = -runs.step, (runs.shape[0] + 1) * runs.step
    return Runs(runs.shape, np.append(before, runs.ends), np.append(runs.begins, after))


def label_runs(runs: Runs, *, corners: bool = False) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Two (N,) arrays: the number of each run's piece, from 1; its connections to the row below.

    Runs of neighbouring rows are connected where they overlap, and with `corners` also where they
    touch at an end. Pieces are numbered in the order of their first runs.
    """
    first, past = runs.overlapping(runs, runs.step, corners=corners)
    joints = past - first
    begins = np.cumsum(joints) - joints
    above = np.repeat(np.arange(len(runs)), joints)
    below = np.arange(len(above)) + np.repeat(first - begins, joints)
    roots = _roots(len(runs), above, below)
    numbers = np.cumsum(roots == np.arange(len(runs)))
    return numbers[roots], joints


def _roots(size: int, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    """(size,) the root of each of `size` runs: the first run of its connected component.

    `first` and `second` are the connected pairs. In each step every root takes the smallest root
    among its neighbours, until both runs of every pair have the same root. Loading scipy's
    connected_components takes longer than this takes for any lung.
    """
    roots = np.arange(size)
    while len(first):
        np.minimum.at(roots, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(above := roots[roots], roots):
            roots = above
        first, second = roots[first], roots[second]
        differ = first != second
        first, second = first[differ], second[differ]
    return roots
