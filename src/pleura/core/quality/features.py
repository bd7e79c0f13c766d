"""Features of a result that need no reference mask: certainty, size and place of the lungs.

They are measured on a sample of the network's square, so that the cost does not grow with the film.
All pixels of the square have the same size in the film, so stretching changes no Dice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pleura.core.arrays import Definition, Mask, Probabilities
from pleura.core.card import lung_channels
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.cleanup import THRESHOLD
from pleura.core.quality.shape import Place, place_of, sample_map, sample_mask
from pleura.core.types import LungMasks

__all__ = ["Contact", "Features", "expected_dice", "joined", "logarithm", "measure_features"]

MOST = 256
"""Pixels a side of the sample: a quarter of a square of 512, in a quarter of the time."""


NEAR = 3
"""Pixels of the network's square. The network draws the outline of a lung that the film's edge cuts
up to so many pixels short of the edge."""

ABOVE, BELOW = "above", "below"
ON_RIGHT, ON_LEFT = "on the patient's right", "on the patient's left"
"""The edges of a film, in words. The patient's right is the viewer's left here: a film that is
stored mirrored is mirrored before its lungs are looked for."""

Contact: TypeAlias = tuple[str, str]
"""A lung, `right lung` or `left lung`, and the edge of the film that it reaches."""


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

    contacts: dict[Contact, float]
    """Length of each lung along each edge of the film, within `NEAR` of it, over the square root of
    the area of both lungs; only lengths that are not 0."""

    right_share: float
    """Share of the film that is right lung; 0 where it is missing."""

    left_share: float
    exchanged: bool
    """The right lung lies on the viewer's right."""

    heart_side: float | None
    """Centroid of the heart, to the patient's left of the middle between both lungs' outer borders,
    in widths of the chest; None without a heart or without both lungs."""

    @property
    def doubt(self) -> float | None:
        """How unsure the network is of the lungs, as a logarithm; None without lungs.

        It is the mean of two logarithms: of 1 - `worse_lung`, and of `unsure`. On validation films
        the two together predicted the true Dice best.
        """
        if self.worse_lung is None or self.unsure is None:
            return None
        return (logarithm(1 - self.worse_lung) + logarithm(self.unsure)) / 2


SUREST = 1e-4
"""A smaller doubt counts as this one, so that its logarithm is finite."""


def logarithm(doubt: float) -> float:
    """The logarithm of a doubt, of `SUREST` where it is smaller."""
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
    lung_maps = [sample_map(maps.stored[channels.index(name)], MOST) for name in names]
    side = lung_maps[0].shape[0], lung_maps[0].shape[1]
    right, left = sample_mask(lungs.right, side), sample_mask(lungs.left, side)
    both, mask = joined(lung_maps), right | left
    thresholded = both >= THRESHOLD
    changed, marked = np.count_nonzero(thresholded ^ mask), np.count_nonzero(thresholded | mask)
    area = int(np.count_nonzero(mask))
    total = expected_dice(both, mask) if area else None
    places = place_of(right), place_of(left)
    return Features(
        expected_dice=total,
        worse_lung=_worse(lung_maps, (right, left)) if len(lung_maps) == 2 else total,
        unsure=float((both - both * both).sum()) / area if area else None,
        cleaned=float(changed / marked) if marked else 0.0,
        contacts=_contacts(lungs, maps.stored.shape[1:]) if area else {},
        right_share=float(right.mean()),
        left_share=float(left.mean()),
        exchanged=bool(places[0] and places[1] and places[0].column > places[1].column),
        heart_side=_heart_side(*places, _heart_place(lungs, side)),
    )


def joined(maps: list[Probabilities]) -> Probabilities:
    """(S, S): the higher probability of the two lungs in each pixel."""
    return maps[0] if len(maps) == 1 else np.maximum(maps[0], maps[1])


def _worse(maps: list[Probabilities], masks: tuple[Mask, Mask]) -> float | None:
    """The lower expected Dice of the lungs that are there."""
    pairs = zip(maps, masks, strict=True)
    values = [expected_dice(lung_map, mask) for lung_map, mask in pairs if mask.any()]
    return min((value for value in values if value is not None), default=None)


def _contacts(lungs: LungMasks, square: tuple[int, ...]) -> dict[Contact, float]:
    """`Features.contacts`; `square` is (S, S) of the network, and lengths are in its pixels."""
    height, width = lungs.right.shape
    down, across = square[0] / height, square[1] / width  # px of the square in one of the film
    area = (np.count_nonzero(lungs.right) + np.count_nonzero(lungs.left)) * down * across
    lengths: dict[Contact, float] = {}
    for lung, mask in (("right lung", lungs.right), ("left lung", lungs.left)):
        for edge, strip, scale in (
            (ABOVE, mask[: int(NEAR / down) + 1], across),
            (BELOW, mask[-int(NEAR / down) - 1 :], across),
            (ON_RIGHT, mask[:, : int(NEAR / across) + 1].T, down),
            (ON_LEFT, mask[:, -int(NEAR / across) - 1 :].T, down),
        ):
            length = np.count_nonzero(strip.any(axis=0)) * scale
            if length:
                lengths[lung, edge] = float(length / area**0.5)
    return lengths


def _heart_place(lungs: LungMasks, size: tuple[int, int]) -> Place | None:
    return None if lungs.heart is None else place_of(sample_mask(lungs.heart, size))


def _heart_side(right: Place | None, left: Place | None, heart: Place | None) -> float | None:
    if right is None or left is None or heart is None:
        return None
    begin, end = min(right.first, left.first), max(right.last, left.last)
    return (heart.column - (begin + end) / 2) / (end - begin)
