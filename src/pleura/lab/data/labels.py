"""Training targets from labels: one map for each channel, with unknown pixels marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask
from pleura.core.frame import Frame
from pleura.core.masks.cleanup import split_lungs
from pleura.lab.data.film import Film, Labels

__all__ = ["RIGHT_AND_LEFT", "labelled_channels", "square_target", "target_for"]

RIGHT_AND_LEFT = {
    "field": ("right_field", "left_field"),
    "whole": ("right_whole", "left_whole"),
}
"""Channel of both lungs -> its channels of the right and the left lung."""


def square_target(labels: Labels, side: int, channels: Sequence[str]) -> NDArray[np.uint8]:
    """The target of a square of `side` pixels: (C, S, S) uint8, 0 no, 1 yes, 2 unknown.

    Unlabelled channels and ignored areas are unknown.
    """
    out = np.full((len(channels), side, side), 2, np.uint8)
    for index, channel in enumerate(channels):
        mask = target_for(labels, channel)
        if mask is not None:
            out[index] = _fit(mask, side)
    if labels.ignore is not None:
        out[:, _fit(labels.ignore, side)] = 2
    return out


def target_for(labels: Labels, channel: str) -> Mask | None:
    """The mask of a channel, (H, W) bool, as labelled or derived; None if it is unknown.

    The mask of both lungs is derived from right and left. Right and left are derived from the mask
    of both, if it can be split into two lungs.
    """
    known = labels.targets
    if channel in known:
        return known[channel]
    for both, (right, left) in RIGHT_AND_LEFT.items():
        if channel == both and right in known and left in known:
            joined: Mask = known[right] | known[left]
            return joined
        if channel in (right, left) and both in known:
            halves = split_lungs(known[both])
            return None if halves is None else halves[channel == left]
    return None


def labelled_channels(films: Sequence[Film]) -> frozenset[str]:
    """The channels that the masks of some film label, or from whose masks they can be derived."""
    labelled = frozenset[str]().union(*(film.channels for film in films))
    for both, parts in RIGHT_AND_LEFT.items():
        if both in labelled:
            labelled |= set(parts)
        if set(parts) <= labelled:
            labelled |= {both}
    return labelled


def _fit(mask: Mask, side: int) -> Mask:
    height, width = mask.shape
    fitted: Mask = Frame(height, width, side).fit(mask.astype(np.float32))[0] >= 0.5
    return fitted
