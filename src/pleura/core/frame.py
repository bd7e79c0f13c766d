"""The way into the network's square and back.

A film is stretched to a square: both sides are resampled to S, whatever the aspect. The network
then uses every one of its S x S pixels, and the sets the project grew up with, published as
squares, look the same as a film that comes from a clinic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pleura.core.arrays import Mask, Pixels, Probabilities, Square
from pleura.core.interpolate import Taps, taps, values
from pleura.core.resample import Band, bands, reach, resample, resample_columns

__all__ = [
    "DARK_PERCENTILE",
    "LIGHT_PERCENTILE",
    "Frame",
    "NativeMaps",
    "above",
    "dark_and_light",
    "normalise",
]


DARK_PERCENTILE, LIGHT_PERCENTILE = 0.5, 99.5
"""Clips the collimator's edge and burnt-in letters, which would flatten the lungs."""

BLOCK = 128
"""Rows restored or compared at a time: what stays in the cache takes a fraction of the time."""

NEARLY = 1e-4
"""Beyond what rounding adds to a mean of probabilities."""

TIED = 1e-5
"""The most by which rounding moves a mean of probabilities: of 26 x 26 at most (a film of 32
pixels), each sum and product by 2**-24 of its value, which is at most 1; twice that bound."""

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
        with np.errstate(invalid="ignore"):  # what is not finite stays so, and is for the caller
            return resample(pixels, (self.side, self.side))[None]

    def restore(self, maps: Probabilities) -> Probabilities:
        """(C, S, S) -> (C, H, W). Restore probabilities, then threshold; never the reverse."""
        restored = np.empty((len(maps), self.height, self.width), dtype=np.float32)
        down, across = self._taps()
        for small, large in zip(maps, restored, strict=True):
            wide = across.columns(small, slice(None))
            for top in range(0, self.height, BLOCK):
                rows = slice(top, top + BLOCK)
                large[rows] = down.rows(wide, rows)
        return restored

    def restore_part(self, small: Probabilities, rows: slice, columns: slice) -> Probabilities:
        """(S, S) -> `restore(...)[rows, columns]`, with nothing made of the rest."""
        down, across = self._taps()
        return down.rows(across.columns(small, columns), rows)

    def above(self, small: Probabilities, threshold: float) -> Mask:
        """(S, S) -> (H, W) bool: `restore(...) >= threshold`, with no map of the film's size.

        A restored value is a mean of its neighbours in the square: where all of these reach the
        threshold, or none does, it is not computed. Elsewhere a product of matrices tells, which is
        quick; where that is so near that its rounding could decide, the value is restored.
        """
        if small.shape == (self.height, self.width):
            same: Mask = small >= threshold
            return same
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        near, sure = small >= threshold - NEARLY, small >= threshold + NEARLY
        if not near.any():
            return mask
        wide = resample_columns(small, self.width)
        read = reach(self.side, self.width)
        for strip in _strips(self.side, self.height):
            around = slice(strip[0].around.start, strip[-1].around.stop)
            reached = near[around].any(axis=0)
            if not reached.any():
                continue
            rows = slice(strip[0].place.start, strip[-1].place.stop)
            known = np.add(reached, sure[around].all(axis=0), dtype=np.int8)  # 0 none, 2 all
            done, tied = 0, []
            for begin, end, all_reach in [*_settled(known, *read), (self.width, self.width, 0)]:
                if done < begin:
                    block = _restored(strip, wide[:, done:begin])
                    doubtful = _compare(block, threshold, mask[rows, done:begin])
                    tied += [doubtful + np.array([[rows.start], [done]])] if doubtful.size else []
                if all_reach:
                    mask[rows, begin:end] = True
                done = end
            if tied:
                self._decide(small, threshold, mask, np.concatenate(tied, axis=1))
        return mask

    def _decide(
        self, small: Probabilities, threshold: float, mask: Mask, tied: NDArray[np.intp]
    ) -> None:
        """Put right in `mask` the pixels `tied`: (2, N), their rows and columns."""
        rows, columns = tied
        mask[rows, columns] = values(small, self._taps(), rows=rows, columns=columns) >= threshold

    def _taps(self) -> tuple[Taps, Taps]:
        """Of the rows and of the columns, from the square to the film."""
        return taps(self.side, self.height), taps(self.side, self.width)


def _restored(strip: Sequence[Band], wide: Probabilities) -> Probabilities:
    """(S, n) -> (m, n): the strip's rows, but for rounding."""
    start = strip[0].place.start
    block = np.empty((strip[-1].place.stop - start, wide.shape[1]), np.float32)
    for each in strip:
        each.rows(wide, out=block[each.place.start - start : each.place.stop - start])
    return block


def _compare(block: Probabilities, threshold: float, into: Mask) -> NDArray[np.intp]:
    """Whether each of `block` reaches the threshold; (2, N) rows and columns of the doubtful."""
    np.greater_equal(block, threshold + TIED, out=into)
    doubtful = block >= threshold - TIED
    doubtful ^= into
    return np.stack(np.nonzero(doubtful))


@lru_cache(maxsize=64)
def _strips(old: int, new: int) -> tuple[tuple[Band, ...], ...]:
    """The bands of a line, as many together as make `BLOCK` pixels or a little less."""
    every = bands(old, new)
    each = max(1, BLOCK // (every[0].place.stop - every[0].place.start))
    return tuple(every[at : at + each] for at in range(0, len(every), each))


def _settled(
    known: NDArray[np.int8], first: NDArray[np.intp], last: NDArray[np.intp]
) -> list[tuple[int, int, bool]]:
    """(S,) 0 none, 1 some, 2 all -> begin, end and answer of the runs of columns that settles.

    `first` and `last` are `reach` of the columns.
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
    """The two percentiles of (N,) values, N > 0."""
    dark, light = np.percentile(values, (DARK_PERCENTILE, LIGHT_PERCENTILE))
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


@dataclass(frozen=True, slots=True, eq=False)
class NativeMaps:
    """(C, H, W) float32 probabilities that take the room of (C, S, S) until one is asked for.

    A film of 20 megapixels has 80 MB of them a channel. `maps[0]` is the first channel, (H, W);
    numpy's functions get all of them. Each time they are made anew: keep what you need twice.
    """

    frame: Frame
    small: Probabilities
    """(C, S, S), as the network gave them."""

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return len(self.small), self.frame.height, self.frame.width

    def __len__(self) -> int:
        return len(self.small)

    def __getitem__(self, index: Any) -> Probabilities:
        channel, *inside = index if isinstance(index, tuple) else (index,)
        if isinstance(channel, int | np.integer):
            if len(inside) == 2 and all(isinstance(each, slice) for each in inside):
                return self.frame.restore_part(self.small[channel], *inside)
            restored: Probabilities = self.frame.restore(self.small[channel][None])[0]
            part: Probabilities = restored[tuple(inside)]
            return part
        chosen: Probabilities = np.asarray(self)[index]
        return chosen

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.float32]:
        """All channels at the film's size."""
        if copy is False:
            raise ValueError("these maps are made when asked for, so there is nothing to share")
        return self.frame.restore(self.small).astype(dtype or np.float32, copy=False)

    def astype(self, dtype: DTypeLike) -> NDArray[Any]:
        """All channels as another type, one after the other: never all of them in float32."""
        made = np.empty(self.shape, dtype)
        for index, channel in enumerate(made):
            channel[:] = self[index]
        return made

    def above(self, index: int, threshold: float) -> Mask:
        """(H, W) bool: where a channel is at least `threshold`."""
        return self.frame.above(self.small[index], threshold)


def above(maps: Probabilities | NativeMaps, index: int, threshold: float) -> Mask:
    """`maps[index] >= threshold`, (H, W) bool, without a float map where there is none yet."""
    if isinstance(maps, NativeMaps):
        return maps.above(index, threshold)
    found: Mask = maps[index] >= threshold
    return found
