"""Labels of a film as the network is trained on them: one map a channel, unknown areas marked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask
from pleura.core.frame import Frame
from pleura.core.masks.cleanup import split_lungs
from pleura.lab.data.film import Labels

__all__ = ["HALVES", "square_target", "target_for"]

HALVES = {
    "field": ("right_field", "left_field"),
    "whole": ("right_whole", "left_whole"),
}
"""Which two channels make up one."""


def square_target(labels: Labels, side: int, channels: Sequence[str]) -> NDArray[np.uint8]:
    """(C, S, S): 0 no, 1 yes, 2 unknown (unlabelled channel, or an area to ignore)."""
    out = np.full((len(channels), side, side), 2, np.uint8)
    for index, channel in enumerate(channels):
        mask = target_for(labels, channel)
        if mask is not None:
            out[index] = _shrink(mask, side)
    if labels.ignore is not None:
        out[:, _shrink(labels.ignore, side)] = 2
    return out


def target_for(labels: Labels, channel: str) -> Mask | None:
    """The mask of a channel, taken or derived from what is labelled; None if it is unknown.

    Both lungs together follow from their halves; the halves follow from both together where
    these come apart into two lungs.
    """
    known = labels.targets
    if channel in known:
        return known[channel]
    for both, (right, left) in HALVES.items():
        if channel == both and right in known and left in known:
            joined: Mask = known[right] | known[left]
            return joined
        if channel in (right, left) and both in known:
            halves = split_lungs(known[both])
            return None if halves is None else halves[channel == left]
    return None


def _shrink(mask: Mask, side: int) -> Mask:
    height, width = mask.shape
    fitted: Mask = Frame(height, width, side).fit(mask.astype(np.float32))[0] >= 0.5
    return fitted
