"""The way into the network's square and back.

A film is stretched to a square: both sides are resampled to S, whatever the aspect. The network
then uses every one of its S x S pixels, and the sets the project grew up with, published as
squares, look the same as a film that comes from a clinic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pleura.core.types import Mask, Pixels, Probabilities, Square

if TYPE_CHECKING:
    from scipy import sparse

__all__ = ["DARK_PERCENTILE", "LIGHT_PERCENTILE", "Frame", "dark_and_light", "normalise"]

DARK_PERCENTILE, LIGHT_PERCENTILE = 0.5, 99.5
"""Clips the collimator's edge and burnt-in letters, which would flatten the lungs."""

BLOCK = 256
"""Rows restored or compared at a time: what stays in the cache takes an eighth of the time."""

NEARLY = 1e-4
"""Beyond what rounding adds to a mean of probabilities."""

ROUNDING = 1e-5
"""A spread this small beside the values themselves is float32 rounding, and no picture."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A film of height x width pixels inside a square of `side`.

    `fit` and `restore` are each other's inverse up to resampling; no other code knows how the
    square was filled.
    """

    height: int
    width: int
    side: int

    def fit(self, pixels: Pixels) -> Square:
        """(H, W) -> (1, S, S), area-averaged where the film is larger than the square."""
        return _resample(pixels, (self.side, self.side))[None]

    def restore(self, maps: Probabilities) -> Probabilities:
        """(C, S, S) -> (C, H, W). Restore probabilities, then threshold; never the reverse."""
        restored = np.empty((len(maps), self.height, self.width), dtype=np.float32)
        for small, large in zip(maps, restored, strict=True):
            for top, block in self._blocks(small):
                large[top : top + BLOCK] = block
        return restored

    def restore_part(self, small: Probabilities, rows: slice, columns: slice) -> Probabilities:
        """(S, S) -> `restore(...)[rows, columns]`, with nothing made of the rest."""
        across = _weights(self.side, self.width)[columns] @ small.T
        part: Probabilities = _weights(self.side, self.height)[rows] @ np.ascontiguousarray(
            across.T
        )
        return part

    def above(self, small: Probabilities, threshold: float) -> Mask:
        """(S, S) -> (H, W) bool: `restore(...) >= threshold`, with no map of the film's size.

        A restored value is a mean of its neighbours in the square: where all of these reach the
        threshold, or none does, it is not computed.
        """
        if small.shape == (self.height, self.width):
            same: Mask = small >= threshold
            return same
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        near, sure = small >= threshold - NEARLY, small >= threshold + NEARLY
        if not near.any():
            return mask
        wide = (_weights(self.side, self.width) @ small.T).T
        reach = _reach(self.side, self.width)
        for top, around, strip in _strips(self.side, self.height):
            reached = near[around].any(axis=0)
            if not reached.any():
                continue
            part = mask[top : top + BLOCK]
            known = np.add(reached, sure[around].all(axis=0), dtype=np.int8)  # 0 none, 2 all
            done = 0
            for begin, end, all_reach in [*_settled(known, *reach), (self.width, self.width, 0)]:
                if done < begin:
                    block = strip @ wide[around, done:begin]
                    np.greater_equal(block, threshold, out=part[:, done:begin])
                if all_reach:
                    part[:, begin:end] = True
                done = end
        return mask

    def _blocks(self, small: Probabilities) -> Iterator[tuple[int, Probabilities]]:
        """(S, S) -> the first row and (up to BLOCK, W) of each strip of the restored map."""
        rows, columns = _weights(self.side, self.height), _weights(self.side, self.width)
        wide = np.ascontiguousarray((columns @ small.T).T)
        for top in range(0, self.height, BLOCK):
            yield top, rows[top : top + BLOCK] @ wide


def _settled(
    known: NDArray[np.int8], first: NDArray[np.intp], last: NDArray[np.intp]
) -> list[tuple[int, int, bool]]:
    """(S,) 0 none, 1 some, 2 all -> begin, end and answer of the runs of columns that settles.

    `first` and `last` are `_reach` of the columns.
    """
    ends = np.flatnonzero(np.diff(known)) + 1
    begins, ends = np.concatenate(([0], ends)), np.append(ends, len(known))
    pick = known[begins] != 1
    begins, ends = begins[pick], ends[pick]
    runs = zip(
        np.searchsorted(first, begins).tolist(),
        np.searchsorted(last, ends).tolist(),
        (known[begins] == 2).tolist(),
        strict=True,
    )
    return [run for run in runs if run[0] < run[1]]


def dark_and_light(values: NDArray[np.float32]) -> tuple[np.float64, np.float64]:
    """The two percentiles of (N,) values, N > 0, to the bit as `numpy.percentile` has them.

    Only what stands at their places is looked for: a quarter of the time of sorting all.
    """
    at = (len(values) - 1) * (np.array((DARK_PERCENTILE, LIGHT_PERCENTILE)) / 100)
    before = np.floor(at).astype(np.intp)
    after = np.minimum(before + 1, len(values) - 1)
    placed = np.partition(values, np.unique((before, after)))
    low, high = placed[before], placed[after]
    share, step = at - before, high - low
    dark, light = np.where(share >= 0.5, high - step * (1 - share), low + step * share)
    return dark, light


def normalise(square: Square) -> Square:
    """Scale to [0, 1] between two percentiles of the square; a flat square becomes 0."""
    dark, light = dark_and_light(square.ravel())
    if light - dark <= ROUNDING * max(abs(dark), abs(light)):
        return np.zeros_like(square)
    scaled = square - dark
    scaled /= light - dark
    np.clip(scaled, 0, 1, out=scaled)
    return scaled.astype(np.float32, copy=False)


def _resample(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) -> `size` with a triangle filter, widened when shrinking so nothing aliases."""
    height, width = image.shape
    if (height, width) == size:
        return np.array(image, dtype=np.float32)  # every weight is 1
    rows, columns = _weights(height, size[0]), _weights(width, size[1])
    if size[0] * width <= height * size[1]:  # the cheaper order first
        return np.ascontiguousarray((columns @ (rows @ image).T).T, dtype=np.float32)
    return np.ascontiguousarray(rows @ (columns @ image.T).T, dtype=np.float32)


@lru_cache(maxsize=64)
def _weights(old: int, new: int) -> sparse.csr_array:
    """(new, old) matrix that resamples a line of `old` pixels to `new`; each row sums to 1."""
    from scipy import sparse  # here, for it takes longer to load than all of core

    scale = old / new
    reach = max(scale, 1.0)
    centre = (np.arange(new) + 0.5) * scale  # in old pixels, edge to edge
    taps = 2 * int(np.ceil(reach)) + 1
    column = np.floor(centre)[:, None].astype(np.int64) + np.arange(taps) - taps // 2
    weight = np.maximum(0, 1 - np.abs(column + 0.5 - centre[:, None]) / reach)
    weight[(column < 0) | (column >= old)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    row = np.repeat(np.arange(new), taps)
    keep = weight.ravel() > 0
    triplet = (weight.ravel()[keep].astype(np.float32), (row[keep], column.ravel()[keep]))
    return sparse.csr_array(triplet, shape=(new, old))


@lru_cache(maxsize=64)
def _reach(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(new,) each: the first and the last of `old` pixels that `_weights` reads for a new one."""
    weights = _weights(old, new)
    return weights.indices[weights.indptr[:-1]], weights.indices[weights.indptr[1:] - 1]


@lru_cache(maxsize=64)
def _strips(old: int, new: int) -> tuple[tuple[int, slice, sparse.csr_array], ...]:
    """`_weights` by strips of BLOCK rows: the first, the old pixels they need, these weights."""
    weights = _weights(old, new)
    strips = []
    for top in range(0, new, BLOCK):
        part = weights[top : top + BLOCK]
        around = slice(int(part.indices.min()), int(part.indices.max()) + 1)
        strips.append((top, around, part[:, around]))
    return tuple(strips)
