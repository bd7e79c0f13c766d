"""Features of a result that need no reference mask: certainty, size and place of the lungs.

They are measured on a sample of the network's square, so the cost does not grow with the film. All
pixels of the square have the same size in the film, so stretching does not change the Dice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pleura.core.arrays import Definition, Mask, Probabilities
from pleura.core.card import lung_channels
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.cleanup import THRESHOLD
from pleura.core.masks.heart_cleanup import heart_width
from pleura.core.quality.shape import Place, box_of_both, place_of, sample_map, sample_mask
from pleura.core.types import LungMasks

__all__ = [
    "Contact",
    "Features",
    "expected_dice",
    "higher_of_both",
    "logarithm",
    "measure_features",
]

SAMPLE_SIDE = 256
"""The largest side of the sample, px. It has a quarter of the pixels of a square of 512, and takes
a quarter of the time."""

EDGE_DISTANCE = 3
"""A lung that comes this close to the film's edge counts as touching it; pixels of the network's
square. The predicted outline of a lung that the edge cuts lies up to this many pixels inside the
film."""

LOW_THRESHOLD = 0.2
"""The lower threshold of `Features.ratio_range`. The thresholds 0.2 and 0.8 separate the films on
which two networks disagree about the ratio better than 0.3 and 0.7 do."""

MIN_UNCERTAINTY = 1e-4
"""A smaller uncertainty is replaced by this one, so that its logarithm is finite."""

UNCERTAINTY_DECIMALS = 4
"""Decimals of `Features.uncertainty`. Engines and machines differ in the next ones."""

ABOVE, BELOW = "above", "below"
ON_RIGHT, ON_LEFT = "on the patient's right", "on the patient's left"
"""The edges of a film, in words. The patient's right is the viewer's left here, because a film that
is stored mirrored is mirrored back before it is segmented."""

Contact: TypeAlias = tuple[str, str]
"""A lung, `right lung` or `left lung`, and the edge of the film that it reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Features of one film's lungs by one definition; None where one cannot be measured."""

    expected_dice: float | None
    """The Dice of both lungs that is expected from the network's probabilities."""

    worse_lung: float | None
    """The lower expected Dice of the two lungs; that of both together if one map holds both."""

    mean_variance: float | None
    """Sum of p (1 - p) of all pixels over the number of pixels in the lungs; 0 if every p is 0 or
    1."""

    cleaned_share: float
    """Pixels that clean-up changed, over the pixels that are lung before or after it."""

    contacts: dict[Contact, float]
    """Length of each lung along each edge of the film, within `EDGE_DISTANCE`, over the square root
    of the area of both lungs; only lengths above 0."""

    right_share: float
    """Share of the film that is right lung; 0 where it is missing."""

    left_share: float
    """Share of the film that is left lung; 0 where it is missing."""

    exchanged: bool
    """Whether the right lung lies on the viewer's right."""

    heart_offset: float | None
    """Distance of the heart's centroid from the middle between the outer borders of both lungs,
    positive to the patient's left, in widths of the chest; None without a heart or both lungs."""

    heart_found: bool | None
    """Whether there is a heart; None if the weights have no heart channel."""

    ratio_range: float | None
    """Difference of the cardiothoracic ratio between two thresholds, `LOW_THRESHOLD` and 1 -
    `LOW_THRESHOLD`; None without a heart or both lungs."""

    @property
    def log_uncertainty(self) -> float | None:
        """The logarithm of the network's uncertainty about the lungs; None without lungs.

        It is the mean of two logarithms: of 1 - `worse_lung`, and of `mean_variance`. On validation
        films this mean predicts the true Dice best.
        """
        if self.worse_lung is None or self.mean_variance is None:
            return None
        return (logarithm(1 - self.worse_lung) + logarithm(self.mean_variance)) / 2

    @property
    def uncertainty(self) -> float | None:
        """The network's uncertainty about the lungs, in [`MIN_UNCERTAINTY`, 1]; None without lungs.

        It is the geometric mean of 1 - `worse_lung` and `mean_variance`, at most 1, and rounded to
        `UNCERTAINTY_DECIMALS`.
        """
        value = self.log_uncertainty
        return None if value is None else round(min(math.exp(value), 1.0), UNCERTAINTY_DECIMALS)


def logarithm(uncertainty: float) -> float:
    """The logarithm of an uncertainty of at least `MIN_UNCERTAINTY`."""
    return float(np.log(max(uncertainty, MIN_UNCERTAINTY)))


def expected_dice(probabilities: Probabilities, mask: Mask) -> float | None:
    """The mean Dice of `mask` with true masks drawn from `probabilities`, both (S, S).

    It is computed as 2 E|M and T| / (|M| + E|T|). This ratio of means differs from the mean of
    ratios by about one over the number of pixels. None if both are empty.
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
    """The features of `lungs`, the masks made of `maps`; `channels` names the maps."""
    names = lung_channels(channels, definition)
    lung_maps = [sample_map(maps.stored[channels.index(name)], SAMPLE_SIDE) for name in names]
    side = lung_maps[0].shape[0], lung_maps[0].shape[1]
    right, left = sample_mask(lungs.right, side), sample_mask(lungs.left, side)
    both, mask = higher_of_both(lung_maps), right | left
    thresholded = both >= THRESHOLD
    changed, marked = np.count_nonzero(thresholded ^ mask), np.count_nonzero(thresholded | mask)
    area = int(np.count_nonzero(mask))
    total = expected_dice(both, mask) if area else None
    places = place_of(right), place_of(left)
    return Features(
        expected_dice=total,
        worse_lung=_worse_lung(lung_maps, (right, left)) if len(lung_maps) == 2 else total,
        mean_variance=float((both - both * both).sum()) / area if area else None,
        cleaned_share=float(changed / marked) if marked else 0.0,
        contacts=_contacts(lungs, maps.stored.shape[1:]) if area else {},
        right_share=float(right.mean()),
        left_share=float(left.mean()),
        exchanged=bool(places[0] and places[1] and places[0].column > places[1].column),
        heart_offset=_heart_offset(*places, _heart_place(lungs, side)),
        heart_found=None if lungs.heart is None else bool(lungs.heart.any()),
        ratio_range=_ratio_range(maps, channels, *places),
    )


def higher_of_both(maps: list[Probabilities]) -> Probabilities:
    """(S, S): the higher of the probabilities of both lungs in each pixel."""
    return maps[0] if len(maps) == 1 else np.maximum(maps[0], maps[1])


def _worse_lung(maps: list[Probabilities], masks: tuple[Mask, Mask]) -> float | None:
    """The lowest expected Dice of the lungs that were found."""
    pairs = zip(maps, masks, strict=True)
    values = [expected_dice(lung_map, mask) for lung_map, mask in pairs if mask.any()]
    return min((value for value in values if value is not None), default=None)


def _contacts(lungs: LungMasks, square: tuple[int, ...]) -> dict[Contact, float]:
    """`Features.contacts`; `square` is (S, S) of the network, and lengths are in its pixels."""
    height, width = lungs.right.shape
    down, across = square[0] / height, square[1] / width  # px of the square in a px of the film
    area = (np.count_nonzero(lungs.right) + np.count_nonzero(lungs.left)) * down * across
    lengths: dict[Contact, float] = {}
    for lung, mask in (("right lung", lungs.right), ("left lung", lungs.left)):
        for edge, strip, scale in (
            (ABOVE, mask[: int(EDGE_DISTANCE / down) + 1], across),
            (BELOW, mask[-int(EDGE_DISTANCE / down) - 1 :], across),
            (ON_RIGHT, mask[:, : int(EDGE_DISTANCE / across) + 1].T, down),
            (ON_LEFT, mask[:, -int(EDGE_DISTANCE / across) - 1 :].T, down),
        ):
            length = np.count_nonzero(strip.any(axis=0)) * scale
            if length:
                lengths[lung, edge] = float(length / area**0.5)
    return lengths


def _heart_place(lungs: LungMasks, size: tuple[int, int]) -> Place | None:
    return None if lungs.heart is None else place_of(sample_mask(lungs.heart, size))


def _heart_offset(right: Place | None, left: Place | None, heart: Place | None) -> float | None:
    if right is None or left is None or heart is None:
        return None
    box = box_of_both(right, left)
    return (heart.column - (box.left + box.right) / 2) / box.width


def _ratio_range(
    maps: ProbabilityMaps, channels: tuple[str, ...], right: Place | None, left: Place | None
) -> float | None:
    """`Features.ratio_range`: the difference of the heart's widths, in chest widths."""
    if "heart" not in channels or right is None or left is None:
        return None
    heart = maps.stored[channels.index("heart")]
    thresholds = LOW_THRESHOLD, 1 - LOW_THRESHOLD
    widest, narrowest = (heart_width(heart, at, maps.pixel) for at in thresholds)
    columns = min(SAMPLE_SIDE, heart.shape[1])  # of the sample
    chest = box_of_both(right, left).width / columns
    return (widest - narrowest) / (chest * heart.shape[1]) if widest else None
