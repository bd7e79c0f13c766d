"""Pictures from one size to another, with a triangle filter that is widened when shrinking.

A new pixel is a mean of a few old ones that lie together. So a band of new pixels is a small
product of matrices, and a picture is resampled band by band. A library of sparse matrices would be
no faster, and would take longer to load than a film takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["Band", "band", "bands", "reach", "resample", "resample_columns", "resample_rows"]

# Why not Pillow, which has the same filter: it takes 4 times as long from 3000 x 2500 pixels to
# 512 x 512 (2026-11), and `core` imports numpy alone.

AROUND = 16
"""About how many old pixels a band should need. More make fewer bands, fewer multiply less by 0."""

SIZES = (2, 64)
"""The fewest and the most new pixels of a band."""

PRODUCTS = 2**18
"""The most products of one call. Above it numpy's BLAS starts threads beside those that work."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Some new pixels of a line."""

    place: slice
    """Where the new pixels lie in their line."""

    around: slice
    """Where the old pixels lie whose means they are."""

    weights: NDArray[np.float32]
    """(new, old) of these; each row sums to 1."""

    def rows(
        self, image: NDArray[np.float32], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """(H, W) -> these rows, (new, W), of the picture whose columns are resampled."""
        part = image[self.around]
        made = np.empty((len(self.weights), part.shape[1]), np.float32) if out is None else out
        step = max(1, PRODUCTS // self.weights.size)
        for at in range(0, part.shape[1], step):
            np.matmul(self.weights, part[:, at : at + step], out=made[:, at : at + step])
        return made


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
    made = np.empty((new, image.shape[1]), np.float32)
    for band in bands(len(image), new):
        band.rows(image, out=made[band.place])
    return made


def resample_columns(image: NDArray[np.float32], new: int) -> NDArray[np.float32]:
    """(H, W) -> (H, new)."""
    made = np.empty((len(image), new), np.float32)
    for band in bands(image.shape[1], new):
        step = max(1, PRODUCTS // band.weights.size)
        for at in range(0, len(image), step):
            part = image[at : at + step, band.around]
            np.matmul(part, band.weights.T, out=made[at : at + step, band.place])
    return made


@lru_cache(maxsize=64)
def bands(old: int, new: int) -> tuple[Band, ...]:
    """The bands of a line that goes from `old` to `new` pixels, in order."""
    width = int(np.clip(round(AROUND * new / old), *SIZES))
    return tuple(band(old, new, slice(at, min(at + width, new))) for at in range(0, new, width))


def band(old: int, new: int, place: slice) -> Band:
    """The band of the new pixels at `place`, one or more."""
    scale = old / new
    wide = max(scale, 1.0)
    centre = (np.arange(place.start, place.stop) + 0.5) * scale  # in old pixels, edge to edge
    column = np.arange(max(0, int(centre[0] - wide) - 1), min(old, int(centre[-1] + wide) + 2))
    weight = np.maximum(0, 1 - np.abs(column + 0.5 - centre[:, None]) / wide)
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.flatnonzero(weight.any(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1
    around = slice(int(column[0]) + first, int(column[0]) + last)
    return Band(place, around, weight[:, first:last].astype(np.float32))


@lru_cache(maxsize=64)
def reach(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(new,) each: the first and the last of the old pixels that a new one is a mean of."""
    edges = []
    for band in bands(old, new):
        used = band.weights > 0
        ends = used.argmax(axis=1), used.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
        edges.append(np.stack(ends) + band.around.start)
    first, last = np.concatenate(edges, axis=1)
    return first, last
