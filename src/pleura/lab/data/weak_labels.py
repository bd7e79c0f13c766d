"""What masks by one definition say, for certain, about channels they do not label.

A film labelled `whole` does not show where the field ends, but outside the whole lung there is
no field; inside a field there is whole lung; and far from both there is neither lung nor, but
between them, heart. What lies between the lungs is heart at some heights and none at others.
These certain pixels teach, the rest stays unknown. Without them, a network that has seen some
hospital only by the other definition is free to draw anything there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.arrays import Mask

__all__ = ["hint"]

UNKNOWN = 2
NEAR_SHARE = 0.01
"""Masks by different people differ at the edge by up to this share of the side: unknown."""

FAR_SHARE = 0.12
"""Farther than this share of the side from any labelled lung there is no lung, and outside the box
of both no heart."""

HEARTLESS = 0.33
"""Between the lungs, down to this share of the height that both have, there is no heart: none
on the 124 films of JSRT to train on, whose hearts are drawn."""

HEART = {"field": (0.68, 0.77), "whole": (0.62, 0.70)}
"""Between the lungs, at these shares of that height, all is heart: 99 % of it on these films, for
fields. Whole lungs reach lower, behind the diaphragm."""

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
        if channel == "heart" and channel not in known:
            out[index] = np.where(far & ~_in_box(anywhere), 0, _heart(known, state.shape[1:]))
        elif channel not in known:
            out[index] = np.where(far, 0, _certain(channel, known))
    return out


def _in_box(mask: Mask) -> Mask:
    """(S, S): the smallest box that holds `mask`, and as far below it as FAR_SHARE says."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = np.zeros_like(mask)
    below = round(FAR_SHARE * len(mask))  # a heart may reach lower than the lungs
    inside[rows[0] : rows[-1] + 1 + below, columns[0] : columns[-1] + 1] = True
    return inside


def _heart(known: dict[str, NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: what two lungs say of the heart between them."""
    out = np.full(shape, UNKNOWN, np.uint8)
    for definition, (first, last) in HEART.items():
        names = [f"{side}_{definition}" for side in SIDES]
        lungs = [known[name] for name in names if name in known and (known[name] == 1).any()]
        if len(lungs) < len(SIDES):
            continue
        right, left = (each == 1 for each in lungs)
        rows = [np.flatnonzero(each.any(axis=1)) for each in (right, left)]
        top, bottom = max(each[0] for each in rows), min(each[-1] for each in rows)
        for row in range(top, bottom):
            share = (row - top) / (bottom - top)
            if share <= HEARTLESS or first <= share <= last:
                out[row, _between(right[row], left[row])] = share >= first
        out[np.logical_or.reduce([each == UNKNOWN for each in lungs])] = UNKNOWN
    return out


def _between(right: NDArray[np.bool_], left: NDArray[np.bool_]) -> slice:
    """The columns of one row between two lungs, off both borders; none if one is not there."""
    near = round(NEAR_SHARE * len(right))
    if not (right.any() and left.any()):
        return slice(0, 0)
    begin, end = np.flatnonzero(right)[-1] + 1 + near, np.flatnonzero(left)[0] - near
    return slice(begin, max(begin, end))


def _certain(channel: str, known: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: what the other definition says of this channel."""
    out = np.full_like(next(iter(known.values())), UNKNOWN)
    side, _, definition = channel.rpartition("_")
    other = {"field": "whole", "whole": "field"}[definition]
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
