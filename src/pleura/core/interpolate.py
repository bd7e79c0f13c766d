"""Maps from the network's square to a film's size, the same to the bit in whatever parts.

A product of matrices is summed in an order that depends on its size, on the CPU and on the library.
Here every new value is one chain of additions and multiplications, each rounded by itself: a value
depends neither on what is computed beside it nor on the machine. So a value that lies at a
threshold has one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pleura.core.resample import bands

__all__ = ["Taps", "taps", "values"]

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """What each new pixel of a line is a mean of: some old ones that lie side by side.

    The weights are those of `core.resample`, without the first one's: a mean is the first old value
    plus the weighted differences of the others to it, and where all are equal it is that value.
    """

    old: int
    """Pixels of the old line."""

    first: NDArray[np.intp]
    """(new,) the first of the old pixels."""

    weights: NDArray[np.float32]
    """(K, new) of the old pixels 1 to K after the first; 0 where a mean takes fewer."""

    def at(self, step: int, new: slice | NDArray[np.intp]) -> NDArray[np.intp]:
        """(n,) which old pixel lies `step` after the first of these new ones."""
        return np.minimum(self.first[new] + step, self.old - 1)

    def rows(self, image: Values, new: slice) -> Values:
        """(old, W) -> (n, W): these of the new rows."""
        return _mean(
            lambda step: image.take(self.at(step, new), axis=0), self.weights[:, new, None]
        )

    def columns(self, image: Values, new: slice) -> Values:
        """(H, old) -> (H, n): these of the new columns."""
        return np.ascontiguousarray(self.rows(np.ascontiguousarray(image.T), new).T)


def values(
    image: Values,
    lines: tuple[Taps, Taps],
    *,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> Values:
    """(N,) new pixels of (old, old) `image`: what `columns`, then `rows` of `Taps` give there.

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
        first[band.place] = begin + band.around.start
        rows += [row[at + 1 :] for row, at in zip(band.weights, begin, strict=True)]
    most = max(np.flatnonzero(row)[-1] + 1 if row.any() else 0 for row in rows)
    weights = np.zeros((most, new), np.float32)
    for place, row in enumerate(rows):
        used = row[:most]
        weights[: len(used), place] = used
    return Taps(old, first, weights)


def _mean(pick: Callable[[int], Values], weights: Iterable[Values]) -> Values:
    """The one way in which a value is computed; `pick` gives the old pixels by their step.

    One ufunc an operation: no compiler can join a multiplication and an addition, which would
    leave out a rounding on the CPUs that can do both in one.
    """
    made = base = pick(0)
    for step, weight in enumerate(weights, start=1):
        part = pick(step)
        part -= base
        part *= weight
        part += made
        made = part
    return made
