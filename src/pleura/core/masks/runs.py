"""Runs: a mask as stretches of neighbouring pixels in its rows.

A lung on a film of 20 megapixels has millions of pixels and a few thousand runs. One pass over the
mask finds them; the rest is arithmetic on short arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask
from pleura.core.types import Box

__all__ = ["Runs", "find_gaps", "find_runs", "join"]

# Why our own: components, holes, contours and the seam are all computed from these runs, and no
# library gives runs to numpy.

BLOCK = 2**17
"""Pixels of a mask that are searched at a time; copies of so many stay in the CPU's cache."""

WORD = 8
"""Pixels, one byte each, that are read as one number; in most of them no run begins or ends."""

LONG = 128
"""Pixels of a run and the gap behind it. Longer ones are painted run by run."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """N runs, in the order of the film.

    A place is a pixel's number, row by row, as if each row had one more pixel that is never in a
    run. So no run is longer than a row, and none touches a run of the next row at its end.
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
        """(N,) the row of each."""
        rows: NDArray[np.intp] = self.begins // self.step
        return rows

    @property
    def lengths(self) -> NDArray[np.intp]:
        """(N,) pixels of each."""
        return self.ends - self.begins

    def pick(self, which: NDArray[np.bool_]) -> Runs:
        """The runs at which (N,) `which` is true."""
        return Runs(self.shape, self.begins[which], self.ends[which])

    def meet(
        self, other: Runs, step: int, *, corners: bool = False
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(N,) the first, and one past the last, of the `other` runs that a run overlaps.

        The runs are moved by `step` before. With `corners`, runs that touch at an end count too.
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
        if len(self) * LONG < (bottom - top) * self.step:
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
    row = box.width // WORD * WORD + WORD  # one pixel more at least, between two rows
    lines = max(1, BLOCK // row)
    padded = np.zeros(lines * row + 1, dtype=np.bool_)
    grid = padded[:-1].reshape(lines, row)[:, 1 : box.width + 1]
    parts = [np.zeros(0, dtype=np.intp)]
    for top in range(box.top, box.bottom, lines):
        part = mask[top : min(top + lines, box.bottom), box.left : box.right]
        grid[: len(part)] = part
        size = len(part) * row
        edges = _where(padded[:size] ^ padded[1 : size + 1])
        edges += edges // row * (width + 1 - row) + (top * (width + 1) + box.left)
        parts.append(edges)
    begins, ends = np.ascontiguousarray(np.concatenate(parts).reshape(-1, 2).T)
    return Runs((height, width), begins, ends)


def _where(edges: NDArray[np.bool_]) -> NDArray[np.intp]:
    """`flatnonzero` of an array whose size is a multiple of WORD, quick where few are true."""
    words = np.flatnonzero(edges.view(np.uint64))
    at = np.flatnonzero(edges.reshape(-1, WORD)[words])
    places: NDArray[np.intp] = words[at // WORD] * WORD + at % WORD
    return places


def find_gaps(runs: Runs) -> Runs:
    """The gaps between `runs`, before the first one and after the last one.

    A gap from the last run of a row to the first one of a later row lies outside of the mask all
    along the film's edge, and is kept as one gap.
    """
    before, after = -runs.step, (runs.shape[0] + 1) * runs.step
    return Runs(runs.shape, np.append(before, runs.ends), np.append(runs.begins, after))


def join(runs: Runs, *, corners: bool = False) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(N,) the number of each run's piece, from 1 on; (N,) how many runs it touches in the row
    below.

    Runs of neighbouring rows are connected where they overlap, with `corners` also where they
    touch at an end. Pieces are numbered by their first runs.
    """
    first, past = runs.meet(runs, runs.step, corners=corners)
    joints = past - first
    begins = np.cumsum(joints) - joints
    above = np.repeat(np.arange(len(runs)), joints)
    below = np.arange(len(above)) + np.repeat(first - begins, joints)
    heads = _heads(len(runs), above, below)
    numbers = np.cumsum(heads == np.arange(len(runs)))
    return numbers[heads], joints


def _heads(size: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """(size,) for each of `size` runs, the first run of its connected component: its head.

    `one` and `other` are the connected pairs. In each step every head takes the smallest head among
    its neighbours, until no pair has two heads. scipy's connected_components takes longer to load
    than this takes for any lung.
    """
    heads = np.arange(size)
    while len(one):
        np.minimum.at(heads, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(above := heads[heads], heads):
            heads = above
        one, other = heads[one], heads[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return heads
