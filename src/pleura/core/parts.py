"""The network's probabilities, one map for each part that was found: right, left, heart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from pleura.core.cleanup import check_definition
from pleura.core.types import Mask, Segmentation

__all__ = ["part_probabilities"]


def part_probabilities(found: Segmentation) -> list[NDArray[np.float32]]:
    """Right lung, left lung and, where the weights have one, heart: each (H, W) float32 in [0, 1].

    They are the network's maps before clean-up, in new arrays. One map of both lungs is shared out:
    each pixel goes to the nearer lung's mask and is 0 in the other's.
    """
    names = check_definition(found.channels, found.provenance.definition)
    maps = [found.probabilities[found.channels.index(each)].copy() for each in names]
    if len(maps) == 1:
        near_right = _nearer(found.right, found.left)
        maps = [np.where(near_right, maps[0], 0), np.where(near_right, 0, maps[0])]
    if found.heart is not None:
        maps.append(found.probabilities[found.channels.index("heart")].copy())
    return [np.clip(each, 0, 1).astype(np.float32, copy=False) for each in maps]


def _nearer(right: Mask, left: Mask) -> Mask:
    """(H, W) bool: nearer to `right`; by the film's halves where a mask is empty."""
    if right.any() and left.any():
        nearer: Mask = distance_transform_edt(~right) <= distance_transform_edt(~left)
        return nearer
    width = right.shape[1]
    return np.broadcast_to(np.arange(width) < width / 2, right.shape)
