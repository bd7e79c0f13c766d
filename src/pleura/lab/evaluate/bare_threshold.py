"""Masks by the threshold only, without clean-up, to measure the effect of clean-up."""

from __future__ import annotations

import numpy as np

from pleura.core.arrays import Definition, Mask
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.cleanup import THRESHOLD, check_definition, disjoint_masks
from pleura.core.types import LungMasks

__all__ = ["threshold_only"]


def threshold_only(
    probabilities: ProbabilityMaps, channels: tuple[str, ...], /, *, definition: Definition
) -> LungMasks:
    """The thresholded masks, without the clean-up of `core.masks.cleanup.clean`.

    With one channel for both lungs, the middle column of the film separates right from left.

    Raises:
        UsageError: these channels do not give `definition`.
    """
    indices = [channels.index(name) for name in check_definition(channels, definition)]
    if len(indices) == 2:
        right, left = disjoint_masks(probabilities, (indices[0], indices[1]), [])
    else:
        right, left = _halves(probabilities.above(indices[0], THRESHOLD))
    heart = None
    if "heart" in channels:
        heart = probabilities.above(channels.index("heart"), THRESHOLD)
    return LungMasks(right, left, heart)


def _halves(lungs: Mask) -> tuple[Mask, Mask]:
    """(H, W) of both lungs -> the part on the viewer's left, which is the patient's right, and the
    part on the viewer's right.
    """
    columns = np.arange(lungs.shape[1]) + 0.5
    on_right = columns < lungs.shape[1] / 2
    return lungs & on_right, lungs & ~on_right
