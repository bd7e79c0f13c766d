"""Interpolating maps from the network's square to a film's size, with the same bits everywhere.

A library sums a product of matrices in an order that depends on the size, the CPU and the version.
Here a new value is a fixed chain of additions and multiplications, each rounded by itself. So a
value depends neither on the part that is computed nor on the machine, and always lies on the same
side of a threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pleura.core.pixels.resample import bands

__all__ = ["Taps", "taps", "values"]

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """The old pixels of a line, side by side, whose weighted mean is a new pixel.

    The weights are those of `core.pixels.resample` without the first. A mean is the first old value
    plus the weighted differences of the others from it; where all are equal it is exactly that
    value.
    """

    old: int
    """Pixels of the old line."""

    first: NDArray[np.intp]
    """(new,) the first of the old pixels."""

    weights: NDArray[np.float32]
    """(K, new) of the old pixels 1 to K after the first; 0 where a mean has fewer."""

    def at(self, step: int, new: slice | NDArray[np.intp]) -> NDArray[np.intp]:
        """(n,) for each new pixel, the index of the old one that lies `step` after its first."""
        return np.minimum(self.first[new] + step, self.old - 1)

    def rows(self, image: Values, new: slice) -> Values:
        """(old, W) -> (n, W): the rows `new`."""
        return _mean(
            lambda step: image.take(self.at(step, new), axis=0), self.weights[:, new, None]
        )

    def columns(self, image: Values, new: slice) -> Values:
        """(H, old) -> (H, n): the columns `new`."""
        return np.ascontiguousarray(self.rows(np.ascontiguousarray(image.T), new).T)


def values(
    image: Values,
    lines: tuple[Taps, Taps],
    *,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> Values:
    """(N,) new pixels of (old, old) `image`, equal to `Taps.columns` and then `Taps.rows`.

    `lines` are the taps of the rows and of the columns.
    """
    down, across = lines

    def wide(step: int) -> Values:
        row = down.at(step, rows)
        return _mean(lambda tap: image[row, across.at(tap, columns)], across.weights[:, columns])

    return _mean(wide, down.weights[:, rows])


@lru_cache(maxsize=64)
def taps(old: int, new: int) -> Taps:
    """From a line of `old` pixels to one of `new`."""
    first, rows = np.empty(new, np.intp), []
    for band in bands(old, new):
        begin = (band.weights > 0).argmax(axis=1)
        first[band.new_pixels] = begin + band.old_pixels.start
        rows += [row[at + 1 :] for row, at in zip(band.weights, begin, strict=True)]
    most = max(np.flatnonzero(row)[-1] + 1 if row.any() else 0 for row in rows)
    weights = np.zeros((most, new), np.float32)
    for place, row in enumerate(rows):
        used = row[:most]
        weights[: len(used), place] = used
    return Taps(old, first, weights)


def _mean(pick: Callable[[int], Values], weights: Iterable[Values]) -> Values:
    """The weighted mean; `pick` gives the old pixels of a step. Every value is computed by this.

    Each operation is a ufunc of its own, so that no compiler joins a multiplication and an
    addition: a CPU that does both at once leaves out a rounding.
    """
    mean = base = pick(0)
    for step, weight in enumerate(weights, start=1):
        part = pick(step)
        part -= base
        part *= weight
        part += mean
        mean = part
    return mean
