"""Features of a film as a whole, which are the same for both definitions of lung.

They are measured on a small sample of the network's maps: the lungs by each definition that the
weights give, and the heart. So the verdict on the film depends neither on the requested definition
nor on the film's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Definition, Mask, Probabilities
from pleura.core.card import DEFINITIONS, lung_channels
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.cleanup import THRESHOLD, clean
from pleura.core.masks.components import split_pieces
from pleura.core.quality.features import expected_dice, higher_of_both, logarithm
from pleura.core.quality.shape import Place, heart_shape, lungs_shape, place_of, sample_map

__all__ = ["FilmFeatures", "measure_film"]

SAMPLE_SIDE = 128
"""The largest side of the sample, px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFeatures:
    """Features of one film; None if they cannot be measured."""

    numbers: NDArray[np.float64] | None
    """(D,) in the order of `reference.feature_names`; None if a lung, by any definition, or the
    heart is missing."""

    mean_variance: float | None
    """Sum of p (1 - p) of all pixels of all lung maps, over the number of pixels in the lungs; None
    without lungs."""


@dataclass(frozen=True, slots=True)
class _Lungs:
    """The lungs by one definition: their places, 16 features, sum of p (1 - p) and pixels."""

    right: Place | None
    left: Place | None
    numbers: list[float] | None
    variance: float
    area: int


def measure_film(maps: ProbabilityMaps, channels: tuple[str, ...]) -> FilmFeatures:
    """The features of the film of which `maps` were predicted; `channels` names the maps."""
    _, height, width = maps.shape
    small = {
        name: sample_map(maps.stored[index], SAMPLE_SIDE) for index, name in enumerate(channels)
    }
    aspect = height / width
    lungs = [
        _measure_lungs(small, definition, aspect=aspect)
        for definition in DEFINITIONS
        if lung_channels(channels, definition)
    ]
    parts = [pair.numbers for pair in lungs]
    if "heart" in channels:
        parts.append(_measure_heart(small["heart"], lungs[0]))
    area = sum(pair.area for pair in lungs)
    known = [part for part in parts if part is not None]
    return FilmFeatures(
        numbers=np.concatenate(known) if len(known) == len(parts) else None,
        mean_variance=sum(pair.variance for pair in lungs) / area if area else None,
    )


def _measure_lungs(
    small: dict[str, Probabilities], definition: Definition, *, aspect: float
) -> _Lungs:
    """The lungs by one definition; `aspect` is height over width of the film."""
    names = lung_channels(tuple(small), definition)
    maps = [small[name] for name in names]
    lungs = clean(ProbabilityMaps(np.stack(maps)), names, definition=definition)
    right, left, both = place_of(lungs.right), place_of(lungs.left), higher_of_both(maps)
    rows, columns = both.shape
    variance, area = float((both - both * both).sum()), int(np.count_nonzero(lungs.both))
    total = expected_dice(both, lungs.both)
    if right is None or left is None or total is None:
        return _Lungs(right, left, None, variance, area)
    shape = lungs_shape(right, left, aspect=aspect * columns / rows, pixels=both.size)
    numbers = [*shape, logarithm(1 - total), logarithm(variance / area)]
    return _Lungs(right, left, numbers, variance, area)


def _measure_heart(heart_map: Probabilities, lungs: _Lungs) -> list[float] | None:
    """6 features of the heart; None without a heart or both lungs."""
    heart = place_of(_largest(heart_map >= THRESHOLD))
    if heart is None or lungs.right is None or lungs.left is None:
        return None
    variance = float((heart_map - heart_map * heart_map).sum())
    return [*heart_shape(heart, lungs.right, lungs.left), logarithm(variance / heart.area)]


def _largest(mask: Mask) -> Mask:
    """The largest piece of `mask`."""
    pieces = split_pieces(mask, share=1.0)
    return pieces.mask([piece.label for piece in pieces.large[:1]])
