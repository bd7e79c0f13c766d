"""Fitting a film into the network's square, and restoring the maps to the film's size.

A film is stretched to a square: both sides are resampled to S pixels, whatever the aspect ratio is.
So the network uses all S x S pixels, and a film from a clinic looks like the films of data sets
that were published as squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pleura.core.arrays import Mask, Pixels, Probabilities, Square
from pleura.core.pixels.interpolate import Taps, taps, values
from pleura.core.pixels.resample import Band, bands, filter_support, resample, resample_columns

__all__ = [
    "DARK_PERCENTILE",
    "LIGHT_PERCENTILE",
    "Frame",
    "ProbabilityMaps",
    "dark_and_light",
    "normalise",
]


DARK_PERCENTILE, LIGHT_PERCENTILE = 0.5, 99.5
"""The percentiles of the greys that are scaled to 0 and 1. The collimator's edge and burnt-in
letters lie outside them; otherwise the lungs would have little contrast."""

BLOCK = 128
"""The rows that are restored or compared at a time. They fit into the CPU's cache, which saves most
of the time."""

UNCERTAIN_MARGIN = 1e-4
"""A pixel of the square is uncertain if it lies within this margin of the threshold. Rounding
changes a mean of probabilities by less."""

TIE_MARGIN = 1e-5
"""A restored pixel within this margin of the threshold is computed again, in one fixed order of
operations. The margin is twice the largest effect of rounding on a mean of probabilities: a mean
has 26 x 26 values at most (of a film of 32 pixels), and each sum and product, at most 1, is rounded
by 2**-24 of its value."""

FLAT_SPREAD = 1e-5
"""The largest spread of the greys of a flat film, relative to the greys. So small a spread comes
from rounding in float32."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A film of height x width pixels inside a square of `side`.

    `restore` is the inverse of `fit`, up to resampling. No other code depends on how a film is
    placed in the square.
    """

    height: int
    width: int
    side: int

    def fit(self, pixels: Pixels) -> Square:
        """(H, W) -> (1, S, S), area-averaged where the film is larger than the square."""
        with np.errstate(invalid="ignore"):  # the caller checks for values that are not finite
            return resample(pixels, (self.side, self.side))[None]

    def restore(self, maps: Probabilities) -> Probabilities:
        """(C, S, S) -> (C, H, W). Restore probabilities before you apply a threshold."""
        restored = np.empty((len(maps), self.height, self.width), dtype=np.float32)
        down, across = self._taps()
        for small, large in zip(maps, restored, strict=True):
            wide = across.columns(small, slice(None))
            for top in range(0, self.height, BLOCK):
                rows = slice(top, top + BLOCK)
                large[rows] = down.rows(wide, rows)
        return restored

    def restore_part(self, small: Probabilities, rows: slice, columns: slice) -> Probabilities:
        """(S, S) -> `restore(...)[rows, columns]`; only this part is computed."""
        down, across = self._taps()
        return down.rows(across.columns(small, columns), rows)

    def above(self, small: Probabilities, threshold: float) -> Mask:
        """(S, S) -> (H, W) bool: `restore(...) >= threshold`, with no map of the film's size.

        A restored value is a mean of neighbours in the square. It is not computed where all
        neighbours reach the threshold, or none does. Elsewhere a product of matrices, which is
        quick, gives the value. If that value is so near the threshold that rounding could decide,
        it is computed again as `restore` does.
        """
        if small.shape == (self.height, self.width):
            same: Mask = small >= threshold
            return same
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        may_reach = small >= threshold - UNCERTAIN_MARGIN
        surely_reaches = small >= threshold + UNCERTAIN_MARGIN
        if not may_reach.any():
            return mask
        wide = resample_columns(small, self.width)
        support = filter_support(self.side, self.width)
        for strip in _strips(self.side, self.height):
            around = slice(strip[0].old_pixels.start, strip[-1].old_pixels.stop)
            some = may_reach[around].any(axis=0)
            if not some.any():
                continue
            rows = slice(strip[0].new_pixels.start, strip[-1].new_pixels.stop)
            state = np.add(some, surely_reaches[around].all(axis=0), dtype=np.int8)  # 0 none, 2 all
            done, tied = 0, []
            for begin, end, all_reach in [
                *_certain_runs(state, *support),
                (self.width, self.width, 0),
            ]:
                if done < begin:
                    block = _restored(strip, wide[:, done:begin])
                    ties = _compare(block, threshold, mask[rows, done:begin])
                    tied += [ties + np.array([[rows.start], [done]])] if ties.size else []
                if all_reach:
                    mask[rows, begin:end] = True
                done = end
            if tied:
                self._decide(small, threshold, mask, np.concatenate(tied, axis=1))
        return mask

    def _decide(
        self, small: Probabilities, threshold: float, mask: Mask, tied: NDArray[np.intp]
    ) -> None:
        """Correct the pixels `tied` of `mask` in place: (2, N), their rows and columns."""
        rows, columns = tied
        mask[rows, columns] = values(small, self._taps(), rows=rows, columns=columns) >= threshold

    def _taps(self) -> tuple[Taps, Taps]:
        """The taps of the rows and of the columns, from the square to the film."""
        return taps(self.side, self.height), taps(self.side, self.width)


def _restored(strip: Sequence[Band], wide: Probabilities) -> Probabilities:
    """(S, n) -> (m, n): the strip's rows, up to rounding."""
    start = strip[0].new_pixels.start
    block = np.empty((strip[-1].new_pixels.stop - start, wide.shape[1]), np.float32)
    for band in strip:
        band.rows(wide, out=block[band.new_pixels.start - start : band.new_pixels.stop - start])
    return block


def _compare(block: Probabilities, threshold: float, into: Mask) -> NDArray[np.intp]:
    """Write into `into` which pixels of `block` reach the threshold.

    Returns (2, N): rows and columns of the pixels within `TIE_MARGIN` of the threshold.
    """
    np.greater_equal(block, threshold + TIE_MARGIN, out=into)
    ties = block >= threshold - TIE_MARGIN
    ties ^= into
    return np.stack(np.nonzero(ties))


@lru_cache(maxsize=64)
def _strips(old: int, new: int) -> tuple[tuple[Band, ...], ...]:
    """The bands of a line, in groups of at most `BLOCK` pixels."""
    all_bands = bands(old, new)
    first = all_bands[0].new_pixels
    per_strip = max(1, BLOCK // (first.stop - first.start))
    return tuple(all_bands[at : at + per_strip] for at in range(0, len(all_bands), per_strip))


def _certain_runs(
    state: NDArray[np.int8], first: NDArray[np.intp], last: NDArray[np.intp]
) -> list[tuple[int, int, bool]]:
    """The runs of new columns that need no computing: begin, end, whether all reach the threshold.

    `state` is (S,), of the old columns: 0 if no pixel reaches the threshold, 1 if some do, 2 if all
    do. `first` and `last` are the `filter_support` of the columns.
    """
    ends = np.flatnonzero(np.diff(state)) + 1
    begins, ends = np.concatenate(([0], ends)), np.append(ends, len(state))
    pick = state[begins] != 1
    begins, ends = begins[pick], ends[pick]
    runs = zip(
        np.searchsorted(first, begins).tolist(),
        np.searchsorted(last, ends).tolist(),
        (state[begins] == 2).tolist(),
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
    if light - dark <= FLAT_SPREAD * max(abs(dark), abs(light)):
        return np.zeros_like(square)
    scaled = square - dark
    scaled /= light - dark
    np.clip(scaled, 0, 1, out=scaled)
    return scaled.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilityMaps:
    """(C, H, W) float32 in [0, 1], one map for each channel, at the film's own size.

    Only the output of the network, (C, S, S), is stored. A map is restored each time it is indexed,
    because a film of 20 megapixels takes 80 MB a channel. Keep a map that you need twice. `maps[0]`
    is the first channel, (H, W); a function of numpy gets all channels.
    """

    stored: Probabilities
    """(C, S, S) as the network gave them; (C, H, W) without a frame."""

    frame: Frame | None = None
    """The way from the square to the film; None if the maps have the film's size already."""

    mirrored: bool = False
    """The maps are `stored`, restored and then mirrored left to right."""

    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.stored.shape
        if self.frame is not None:
            height, width = self.frame.height, self.frame.width
        return channels, height, width

    def mirror(self) -> ProbabilityMaps:
        """The same maps mirrored left to right; mirrored twice, they are exactly these maps."""
        return replace(self, mirrored=not self.mirrored)

    @property
    def pixel(self) -> tuple[float, float]:
        """Height and width of a stored pixel, in pixels of the film."""
        _, height, width = self.shape
        return height / self.stored.shape[1], width / self.stored.shape[2]

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Any) -> Probabilities:
        selected: Probabilities
        if self.frame is None and not self.mirrored:
            selected = self.stored[index]
            return selected
        channel, *inside = index if isinstance(index, tuple) else (index,)
        if not isinstance(channel, int | np.integer):
            selected = np.asarray(self)[index]
        elif self.mirrored or self.frame is None:
            selected = np.ascontiguousarray(self.mirror()[channel][:, ::-1])[tuple(inside)]
        elif len(inside) == 2 and all(isinstance(axis, slice) for axis in inside):
            selected = self.frame.restore_part(self.stored[channel], *inside)
        else:
            selected = self.frame.restore(self.stored[channel][None])[0][tuple(inside)]
        return selected

    def __array__(
        self, dtype: DTypeLike | None = None, copy: bool | None = None
    ) -> NDArray[np.float32]:
        """All channels at the film's size, an array of their own."""
        if copy is False:
            raise ValueError(
                "these maps are computed when they are read and share no memory: take a copy"
            )
        return self.astype(dtype or np.float32)

    def astype(self, dtype: DTypeLike) -> NDArray[Any]:
        """All channels as another type; one channel at a time is held in float32."""
        maps = np.empty(self.shape, dtype)
        for index, channel in enumerate(maps):
            channel[:] = self[index]
        return maps

    def above(self, index: int, threshold: float) -> Mask:
        """(H, W) bool: `maps[index] >= threshold`; no map of floats is made for it."""
        if self.mirrored:
            return np.ascontiguousarray(self.mirror().above(index, threshold)[:, ::-1])
        if self.frame is not None:
            return self.frame.above(self.stored[index], threshold)
        mask: Mask = self.stored[index] >= threshold
        return mask
