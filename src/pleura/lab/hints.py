"""What masks by one definition say, for certain, about channels they do not label.

A film labelled `whole` does not show where the field ends, but outside the whole lung there is
no field; inside a field there is whole lung; and far from both there is neither lung nor heart.
These certain pixels teach, the rest stays unknown. Without them, a network that has seen some
hospital only by the other definition is free to draw anything there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.types import Mask

__all__ = ["hint"]

UNKNOWN = 2
NEAR_SHARE = 0.01
"""Masks by different people differ at the edge by up to this share of the side: unknown."""

FAR_SHARE = 0.12
"""Farther than this share of the side from any labelled lung there is neither lung nor heart."""

SIDES = ("right", "left")


def hint(state: NDArray[np.uint8], channels: tuple[str, ...]) -> NDArray[np.uint8]:
    """(C, S, S) of 0 no, 1 yes, 2 unknown -> the same, unlabelled channels filled where certain.

    A channel with any known pixel is left as it is.
    """
    out = state.copy()
    known = {name: state[i] for i, name in enumerate(channels) if (state[i] != UNKNOWN).any()}
    lungs = [values == 1 for name, values in known.items() if name != "heart"]
    if not lungs:
        return out
    anywhere = np.logical_or.reduce(lungs)
    far = _distance(anywhere) > FAR_SHARE * state.shape[-1]
    for index, channel in enumerate(channels):
        if channel not in known:
            out[index] = np.where(far, 0, _certain(channel, known))
    return out


def _certain(channel: str, known: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: what the other definition says of this channel."""
    out = np.full_like(next(iter(known.values())), UNKNOWN)
    side, _, definition = channel.rpartition("_")
    other = {"field": "whole", "whole": "field"}.get(definition)
    if other is None:  # the heart
        return out
    near = NEAR_SHARE * out.shape[-1]
    name = f"{side}_{other}" if side else other
    if name in known:
        lung = known[name] == 1
        if definition == "whole":
            out[_distance(~lung) > near] = 1
        else:
            out[_distance(lung) > near] = 0
        out[known[name] == UNKNOWN] = UNKNOWN
    for opposite in SIDES:
        across = f"{opposite}_{other}"
        if side and opposite != side and across in known:
            out[_distance(known[across] != 1) > near] = 0
    return out


def _distance(mask: Mask) -> NDArray[np.float64]:
    """Pixels from each place to the nearest of `mask`; where there is none, as far as can be."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    found: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return found
