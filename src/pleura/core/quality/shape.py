"""Size, position and shape of lungs and heart in a small sample of the network's square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask, Probabilities
from pleura.core.types import Box

__all__ = [
    "Place",
    "box_of_both",
    "heart_shape",
    "lungs_shape",
    "place_of",
    "sample_map",
    "sample_mask",
]


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a structure in the sample, in its pixels; rows and columns count from 0."""

    area: int
    box: Box
    """Around the structure."""

    row: float
    column: float
    """Row and column of the centroid."""

    slant: float
    """Correlation of row and column."""


def sample_map(known: Probabilities, most: int) -> Probabilities:
    """(S, S) -> (s, s), s at most `most`: the values at the centres of larger pixels."""
    height, width = known.shape
    rows, columns = _middles(height, min(most, height)), _middles(width, min(most, width))
    sampled: Probabilities = known[rows][:, columns]
    return sampled


def sample_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """(H, W) bool -> `size`, the values at the centres of larger pixels."""
    if mask.shape == size:
        return mask
    rows, columns = _middles(mask.shape[0], size[0]), _middles(mask.shape[1], size[1])
    return mask[rows][:, columns]


def _middles(old: int, new: int) -> NDArray[np.intp]:
    """Indices of the `old` pixels at the centres of `new` ones."""
    return (2 * np.arange(new) + 1) * old // (2 * new)


def place_of(mask: Mask) -> Place | None:
    """The place of the pixels of `mask`; None if it is empty."""
    by_row, by_column = np.count_nonzero(mask, axis=1), np.count_nonzero(mask, axis=0)
    area = int(by_row.sum())
    if not area:
        return None
    rows, columns = np.arange(len(by_row)) + 0.5, np.arange(len(by_column)) + 0.5
    row, column = float(by_row @ rows) / area, float(by_column @ columns) / area
    deviations = np.sqrt((by_row @ (rows - row) ** 2) * (by_column @ (columns - column) ** 2))
    product = float((mask @ (columns - column)) @ (rows - row))
    at, across = np.flatnonzero(by_row), np.flatnonzero(by_column)
    return Place(
        area=area,
        box=Box(int(at[0]), int(across[0]), int(at[-1]) + 1, int(across[-1]) + 1),
        row=row,
        column=column,
        slant=product / float(deviations) if deviations else 0.0,
    )


def lungs_shape(right: Place, left: Place, *, aspect: float, pixels: int) -> list[float]:
    """14 numbers: size, place and slant of each lung in the box around both, its area and aspect.

    `aspect` is height over width of a pixel, `pixels` the number in the sample.
    """
    box = box_of_both(right, left)
    numbers = [
        number
        for lung in (right, left)
        for number in (
            lung.area / (box.height * box.width),
            lung.box.height / box.height,
            lung.box.width / box.width,
            (lung.row - box.top) / box.height,
            (lung.column - box.left) / box.width,
            lung.slant,
        )
    ]
    area = float(np.log((right.area + left.area) / pixels))
    return [*numbers, area, float(np.log(aspect * box.height / box.width))]


def heart_shape(heart: Place, right: Place, left: Place) -> list[float]:
    """5 numbers: share, row, column, width and height of the heart in the box around both lungs."""
    box = box_of_both(right, left)
    return [
        heart.area / (box.height * box.width),
        (heart.row - box.top) / box.height,
        (heart.column - box.left) / box.width,
        heart.box.width / box.width,
        heart.box.height / box.height,
    ]


def box_of_both(right: Place, left: Place) -> Box:
    """The box around both lungs, in pixels of the sample."""
    one, other = right.box, left.box
    return Box(
        top=min(one.top, other.top),
        left=min(one.left, other.left),
        bottom=max(one.bottom, other.bottom),
        right=max(one.right, other.right),
    )
