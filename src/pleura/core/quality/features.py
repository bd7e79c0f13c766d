"""Features of a result that need no reference mask: certainty, size and shape of the lungs.

They are measured on a sample of the network's square, so that the cost does not grow with the film.
All pixels of the square have the same size in the film, so stretching changes no Dice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Definition, Mask, Probabilities
from pleura.core.card import lung_channels
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.cleanup import THRESHOLD
from pleura.core.masks.heart import heart_width
from pleura.core.types import LungMasks

__all__ = ["Features", "expected_dice", "measure_features"]

MOST = 256
"""Pixels a side of the sample: a quarter of a square of 512, in a quarter of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Features of one film's lungs by one definition; None where there is nothing to measure."""

    expected_dice: float | None
    """The Dice of both lungs that the network's probabilities lead to expect."""

    worse_lung: float | None
    """The lower one of both lungs' expected Dice; of both together where one map holds both."""

    unsure: float | None
    """Sum of p (1 - p) of all pixels over the number in the lungs; 0 if every p is 0 or 1."""

    cleaned: float
    """Pixels that clean-up changed, over those that are marked before or after it."""

    border: float
    """Pixels of the lungs on the film's edge, over the square root of their area."""

    right_share: float
    """Share of the film that is right lung; 0 where it is missing."""

    left_share: float
    exchanged: bool
    """The right lung lies on the viewer's right."""

    heart_side: float | None
    """Centroid of the heart, to the patient's left of the middle between both lungs' outer borders,
    in widths of the chest; None without a heart or without both lungs."""

    heart_found: bool | None
    """Whether there is a heart; None where the weights have no heart channel."""

    ratio_spread: float | None
    """How far the cardiothoracic ratio moves between two thresholds, `SPREAD` and 1 - `SPREAD`;
    None without a heart or without both lungs."""

    shape: NDArray[np.float64] | None
    """(14,), the first of `reference.FEATURES`; None unless both lungs are there."""

    @property
    def doubt(self) -> float | None:
        """How unsure the network is of the lungs, as a logarithm; None without lungs.

        It is the mean of two logarithms: of 1 - `worse_lung`, and of `unsure`. On validation films
        the two together predicted the true Dice best.
        """
        if self.worse_lung is None or self.unsure is None:
            return None
        return (_log(1 - self.worse_lung) + _log(self.unsure)) / 2

    @property
    def numbers(self) -> NDArray[np.float64] | None:
        """(16,), as `reference.FEATURES` names them; None unless both lungs are there."""
        if self.shape is None or self.expected_dice is None or self.unsure is None:
            return None
        return np.array([*self.shape, _log(1 - self.expected_dice), _log(self.unsure)])


SPREAD = 0.2
"""The lower threshold of `Features.ratio_spread`. Between 0.2 and 0.8 it told the films on which
two networks disagree about the ratio better than between 0.3 and 0.7."""

SUREST = 1e-4
"""A smaller doubt counts as this one, so that its logarithm is finite."""


def _log(doubt: float) -> float:
    return float(np.log(max(doubt, SUREST)))


def expected_dice(probabilities: Probabilities, mask: Mask) -> float | None:
    """The mean Dice of `mask` with truths drawn from `probabilities`, both (S, S).

    It is computed as 2 E|M and T| / (|M| + E|T|): a ratio of means in place of the mean of ratios,
    from which it differs by about one over the number of pixels. None where both are empty.
    """
    marked, likely = int(np.count_nonzero(mask)), float(probabilities.sum(dtype=np.float64))
    if not marked + likely:
        return None
    return 2 * float(probabilities.sum(where=mask, dtype=np.float64)) / (marked + likely)


def measure_features(
    maps: ProbabilityMaps,
    lungs: LungMasks,
    channels: tuple[str, ...],
    *,
    definition: Definition,
) -> Features:
    """The features of `lungs`, which were made of `maps`; `channels` names the maps."""
    names = lung_channels(channels, definition)
    lung_maps = [_small(maps, channels.index(name)) for name in names]
    side = lung_maps[0].shape[0], lung_maps[0].shape[1]
    right, left = _sampled(lungs.right, side), _sampled(lungs.left, side)
    both, mask = _joined(lung_maps), right | left
    thresholded = both >= THRESHOLD
    changed, marked = np.count_nonzero(thresholded ^ mask), np.count_nonzero(thresholded | mask)
    area = int(np.count_nonzero(mask))
    total = expected_dice(both, mask) if area else None
    height, width = lungs.right.shape
    places = _place(right), _place(left)
    return Features(
        expected_dice=total,
        worse_lung=_worse(lung_maps, (right, left)) if len(lung_maps) == 2 else total,
        unsure=float((both - both * both).sum()) / area if area else None,
        cleaned=float(changed / marked) if marked else 0.0,
        border=_border(mask) / area**0.5 if area else 0.0,
        right_share=float(right.mean()),
        left_share=float(left.mean()),
        exchanged=bool(places[0] and places[1] and places[0].column > places[1].column),
        heart_side=_heart_side(*places, _heart_place(lungs, side)),
        heart_found=None if lungs.heart is None else bool(lungs.heart.any()),
        ratio_spread=_ratio_spread(maps, channels, *places),
        shape=_shape(*places, aspect=(height * side[1]) / (width * side[0]), pixels=mask.size),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a lung lies in the square: px of it, rows and columns from 0."""

    area: int
    top: int
    bottom: int
    first: int
    last: int
    row: float
    column: float
    slant: float
    """Correlation of row and column."""


def _small(maps: ProbabilityMaps, channel: int) -> Probabilities:
    """(h, w), both at most `MOST`: a sample of the maps as they are stored."""
    known = maps.stored[channel]
    height, width = known.shape
    rows, columns = _middles(height, min(MOST, height)), _middles(width, min(MOST, width))
    sampled: Probabilities = known[rows][:, columns]
    return sampled


def _middles(old: int, new: int) -> NDArray[np.intp]:
    """Indices of the `old` pixels under the centres of `new` ones."""
    return (2 * np.arange(new) + 1) * old // (2 * new)


def _sampled(mask: Mask, size: tuple[int, int]) -> Mask:
    """(H, W) bool -> `size`."""
    if mask.shape == size:
        return mask
    rows, columns = _middles(mask.shape[0], size[0]), _middles(mask.shape[1], size[1])
    return mask[rows][:, columns]


def _joined(maps: list[Probabilities]) -> Probabilities:
    """(S, S): the higher probability of the two lungs in each pixel."""
    return maps[0] if len(maps) == 1 else np.maximum(maps[0], maps[1])


def _worse(maps: list[Probabilities], masks: tuple[Mask, Mask]) -> float | None:
    """The lower expected Dice of the lungs that are there."""
    pairs = zip(maps, masks, strict=True)
    values = [expected_dice(lung_map, mask) for lung_map, mask in pairs if mask.any()]
    return min((value for value in values if value is not None), default=None)


def _border(mask: Mask) -> int:
    """Pixels of `mask` in the first and last row and column."""
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return sum(int(np.count_nonzero(edge)) for edge in edges)


def _place(mask: Mask) -> _Place | None:
    by_row, by_column = np.count_nonzero(mask, axis=1), np.count_nonzero(mask, axis=0)
    area = int(by_row.sum())
    if not area:
        return None
    rows, columns = np.arange(len(by_row)) + 0.5, np.arange(len(by_column)) + 0.5
    row, column = float(by_row @ rows) / area, float(by_column @ columns) / area
    spread = np.sqrt((by_row @ (rows - row) ** 2) * (by_column @ (columns - column) ** 2))
    product = float((mask @ (columns - column)) @ (rows - row))
    at, across = np.flatnonzero(by_row), np.flatnonzero(by_column)
    return _Place(
        area=area,
        top=int(at[0]),
        bottom=int(at[-1]) + 1,
        first=int(across[0]),
        last=int(across[-1]) + 1,
        row=row,
        column=column,
        slant=product / float(spread) if spread else 0.0,
    )


def _heart_place(lungs: LungMasks, size: tuple[int, int]) -> _Place | None:
    return None if lungs.heart is None else _place(_sampled(lungs.heart, size))


def _heart_side(right: _Place | None, left: _Place | None, heart: _Place | None) -> float | None:
    if right is None or left is None or heart is None:
        return None
    begin, end = min(right.first, left.first), max(right.last, left.last)
    return (heart.column - (begin + end) / 2) / (end - begin)


def _ratio_spread(
    maps: ProbabilityMaps, channels: tuple[str, ...], right: _Place | None, left: _Place | None
) -> float | None:
    """The heart's width at the lower threshold less that at the higher one, in chest widths."""
    if "heart" not in channels or right is None or left is None:
        return None
    heart = maps.stored[channels.index("heart")]
    widest, narrowest = (heart_width(heart, at, maps.pixel) for at in (SPREAD, 1 - SPREAD))
    columns = min(MOST, heart.shape[1])  # of the sample
    chest = (max(right.last, left.last) - min(right.first, left.first)) / columns
    return (widest - narrowest) / (chest * heart.shape[1]) if widest else None


def _shape(
    right: _Place | None, left: _Place | None, *, aspect: float, pixels: int
) -> NDArray[np.float64] | None:
    """(14,) size, place and slant of each lung in the box around both, area and aspect of that box.

    `aspect` is that of a pixel, `pixels` the number in the sample.
    """
    if right is None or left is None:
        return None
    top, bottom = min(right.top, left.top), max(right.bottom, left.bottom)
    first, last = min(right.first, left.first), max(right.last, left.last)
    height, width = bottom - top, last - first
    numbers = [
        number
        for lung in (right, left)
        for number in (
            lung.area / (height * width),
            (lung.bottom - lung.top) / height,
            (lung.last - lung.first) / width,
            (lung.row - top) / height,
            (lung.column - first) / width,
            lung.slant,
        )
    ]
    return np.array(
        [*numbers, np.log((right.area + left.area) / pixels), np.log(aspect * height / width)]
    )
