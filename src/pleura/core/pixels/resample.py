"""Resampling pictures to another size, with a triangle filter that is widened when shrinking.

A new pixel is the weighted mean of a few neighbouring old pixels. So a band of new pixels is a
small product of matrices, and a picture is resampled band by band. A library of sparse matrices
would be no faster, and loading it would take longer than a film takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Band",
    "band",
    "bands",
    "filter_support",
    "resample",
    "resample_columns",
    "resample_rows",
]

# Pillow, which has the same filter, is not used, because it takes 4 times as long from 3000 x 2500
# pixels to 512 x 512 (2026-11), and `core` imports numpy alone.

OLD_PIXELS_A_BAND = 16
"""About how many old pixels a band needs. With more there are fewer bands, with fewer there are
fewer products with 0."""

BAND_SIZES = (2, 64)
"""The smallest and the largest number of new pixels in a band."""

MAX_PRODUCTS = 2**18
"""The largest number of products in one call. For more, numpy's BLAS starts threads of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Some new pixels of a line."""

    new_pixels: slice
    """The place of the new pixels in their line."""

    old_pixels: slice
    """The place of the old pixels of which the new ones are means."""

    weights: NDArray[np.float32]
    """(new, old): the weight of each old pixel in each new one; each row sums to 1."""

    def rows(
        self, image: NDArray[np.float32], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(H, W) -> these rows, (new, W), of the picture whose columns are resampled."""
        part = image[self.old_pixels]
        resampled = np.empty((len(self.weights), part.shape[1]), np.float32) if out is None else out
        step = max(1, MAX_PRODUCTS // self.weights.size)
        for at in range(0, part.shape[1], step):
            np.matmul(self.weights, part[:, at : at + step], out=resampled[:, at : at + step])
        return resampled


def resample(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) -> `size`, a new array."""
    height, width = image.shape
    if (height, width) == size:
        return np.array(image, dtype=np.float32)  # every weight is 1
    if size[0] * width <= height * size[1]:  # the cheaper order first
        return resample_columns(resample_rows(image, size[0]), size[1])
    return resample_rows(resample_columns(image, size[1]), size[0])


def resample_rows(image: NDArray[np.float32], new: int) -> NDArray[np.float32]:
    """(H, W) -> (new, W)."""
    resampled = np.empty((new, image.shape[1]), np.float32)
    for band in bands(len(image), new):
        band.rows(image, out=resampled[band.new_pixels])
    return resampled


def resample_columns(image: NDArray[np.float32], new: int) -> NDArray[np.float32]:
    """(H, W) -> (H, new)."""
    resampled = np.empty((len(image), new), np.float32)
    for band in bands(image.shape[1], new):
        step = max(1, MAX_PRODUCTS // band.weights.size)
        for at in range(0, len(image), step):
            part = image[at : at + step, band.old_pixels]
            np.matmul(part, band.weights.T, out=resampled[at : at + step, band.new_pixels])
    return resampled


@lru_cache(maxsize=64)
def bands(old: int, new: int) -> tuple[Band, ...]:
    """The bands of a line that goes from `old` to `new` pixels, in order."""
    width = int(np.clip(round(OLD_PIXELS_A_BAND * new / old), *BAND_SIZES))
    return tuple(band(old, new, slice(at, min(at + width, new))) for at in range(0, new, width))


def band(old: int, new: int, place: slice) -> Band:
    """The band of the new pixels at `place`, at least one."""
    scale = old / new
    wide = max(scale, 1.0)
    centre = (np.arange(place.start, place.stop) + 0.5) * scale  # in old pixels, edge to edge
    column = np.arange(max(0, int(centre[0] - wide) - 1), min(old, int(centre[-1] + wide) + 2))
    weight = np.maximum(0, 1 - np.abs(column + 0.5 - centre[:, None]) / wide)
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.flatnonzero(weight.any(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1
    old_pixels = slice(int(column[0]) + first, int(column[0]) + last)
    return Band(place, old_pixels, weight[:, first:last].astype(np.float32))


@lru_cache(maxsize=64)
def filter_support(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Two (new,) arrays: the first and the last old pixel of which a new pixel is a mean."""
    edges = []
    for band in bands(old, new):
        used = band.weights > 0
        ends = used.argmax(axis=1), used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
        edges.append(np.stack(ends) + band.old_pixels.start)
    first, last = np.concatenate(edges, axis=1)
    return first, last
