"""Labels of unlabelled channels, derived from masks by the other definition where they are certain.

A film labelled `whole` does not show the border of the field. But no field lies outside the whole
lung, both have the same border towards the ribs, and a field is part of the whole lung. Far from
both there is no lung, and heart only between the lungs: there, some heights are always heart and
others never. These certain pixels are used for training; the rest stays unknown. Without them, a
network that is trained on films of a hospital by one definition only learns nothing about the
other definition on such films.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.arrays import Mask

__all__ = ["hint", "without_heart_in_field", "without_heart_tops"]

UNKNOWN = 2
NEAR_SHARE = 0.01
"""Masks by different people differ at the edge by up to this share of the side: unknown."""

FAR_SHARE = 0.12
"""Farther than this share of the side from any labelled lung there is no lung, and outside the box
of both no heart."""

HEARTLESS = 0.33
"""There is no heart between the lungs above this share of the height that both have. So it is on
the 124 training films of JSRT, whose hearts are drawn."""

HEART = {"field": (0.68, 0.77), "whole": (0.62, 0.70)}
"""The rows, in shares of the height that both lungs have, in which all between the lungs is heart:
on the same films 99 % of it, for fields. Whole lungs reach lower, behind the diaphragm."""

SIDES = ("right", "left")

LATERAL = {
    "right": ((0.1, 0.6, 0.6), (0.6, 0.8, 0.4)),
    "left": ((0.1, 0.3, 0.4), (0.3, 0.8, 0.2)),
}
"""Parts of a whole lung that are certainly lung field, as (first, last, width): the rows from
`first` to `last`, in shares of the lung's height, and `width` of its width, counted from the ribs.
Heart and mediastinum lie on the other side. On the training films of COVID and of children, a
network finds field in 99 % of these pixels; the rest is opaque lung."""

FLAT_TOP = 0.6
"""The lowest usual top of a heart in SCR's masks, as a share of the height that both lungs have. On
the 124 training films of JSRT the tops lie at 0.38 to 0.66, and 19 of 20 above 0.61."""

HEART_ROWS = (0.6, 0.8)
"""Where the gap between the lungs is measured, in shares of the height that both have."""

LEAST_GAP = 0.3
"""The smallest usual gap between the lungs at the heart's height, as a share of the chest's width.
A smaller gap means that the lung masks include the heart. The least gap on the 95 films of
Montgomery to train on is 0.301 of the chest's width, on the 105 of Wingspan 0.339. Of the 411 of
Shenzhen 34 have less; 32 of the 33 whose mask holds more than a quarter of the heart that the
network finds are among them."""


def hint(state: NDArray[np.uint8], channels: tuple[str, ...]) -> NDArray[np.uint8]:
    """(C, S, S) of 0 no, 1 yes, 2 unknown -> the same, unlabelled channels filled where certain.

    A channel with any known pixel stays unchanged.
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


def without_heart_tops(state: NDArray[np.uint8], channels: tuple[str, ...]) -> NDArray[np.uint8]:
    """(C, S, S) of 0, 1 and 2 -> the same, the upper part of the heart unknown.

    Pleura's hearts follow SCR's masks (van Ginneken et al. 2006), which are cut flat at some level
    below the great vessels. Masks that rise to a point there are made to fit: down to `HEARTLESS`
    of the height that both lungs have there is no heart, from there to `FLAT_TOP` it is unknown
    outside the lungs, below that it is as drawn. Films without both lungs and a heart stay as
    they are.
    """
    lungs = _two_lungs(state, channels, "field")
    if lungs is None or "heart" not in channels:
        return state
    out, index = state.copy(), channels.index("heart")
    if (state[index] == UNKNOWN).all():
        return state
    top, bottom = _common_rows(*lungs)
    none, unsure = (top + round(share * (bottom - top)) for share in (HEARTLESS, FLAT_TOP))
    out[index, :none] = 0
    out[index, none:unsure] = np.where(lungs[0] | lungs[1], 0, UNKNOWN)[none:unsure]
    return out


def without_heart_in_field(
    state: NDArray[np.uint8], channels: tuple[str, ...]
) -> NDArray[np.uint8]:
    """(C, S, S) of 0, 1 and 2 -> the same, fields unknown where they seem to include the heart.

    The rule: at the heart's height (`HEART_ROWS` of the height that both lungs have) the gap
    between the lungs has a median of less than `LEAST_GAP` of the distance between their outer
    borders. The area: from `HEARTLESS` down, between the right lung's inner border (but at
    least at a third of that distance) and the place four fifths of the way to the left lung's outer
    border. Derived on train films alone; see the constants.
    """
    lungs = _two_lungs(state, channels, "field")
    if lungs is None:
        return state
    top, bottom = _common_rows(*lungs)
    rows = range(*(top + round(share * (bottom - top)) for share in HEART_ROWS))
    edges = [_edges(lungs[0][row], lungs[1][row]) for row in rows]
    known = np.array([edge for edge in edges if edge is not None])
    if not len(known):
        return state
    right_outer, right_inner, left_inner, left_outer = known.T
    width = left_outer - right_outer
    if np.median((left_inner - right_inner) / width) >= LEAST_GAP:
        return state
    out = state.copy()
    begin = np.median(np.minimum(right_inner, right_outer + width / 3))
    end = np.median(right_outer + 0.8 * width)
    first = top + round(HEARTLESS * (bottom - top))
    for index, channel in enumerate(channels):
        if channel.endswith("field") or channel == "heart":
            out[index, first:, round(begin) : round(end)] = UNKNOWN
    return out


def _two_lungs(
    state: NDArray[np.uint8], channels: tuple[str, ...], definition: str
) -> tuple[Mask, Mask] | None:
    """(S, S) right and left, if both are known and there."""
    names = [f"{side}_{definition}" for side in SIDES]
    if not set(names) <= set(channels):
        return None
    right, left = (state[channels.index(name)] == 1 for name in names)
    return (right, left) if right.any() and left.any() else None


def _common_rows(right: Mask, left: Mask) -> tuple[int, int]:
    """The first and the last row that both lungs have."""
    rows = [np.flatnonzero(lung.any(axis=1)) for lung in (right, left)]
    return int(max(lung[0] for lung in rows)), int(min(lung[-1] for lung in rows))


def _edges(right: NDArray[np.bool_], left: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Columns of one row: right outer, right inner, left inner, left outer; None without both."""
    if not (right.any() and left.any()):
        return None
    of_right, of_left = np.flatnonzero(right), np.flatnonzero(left)
    return int(of_right[0]), int(of_right[-1]), int(of_left[0]), int(of_left[-1])


def _in_box(mask: Mask) -> Mask:
    """(S, S): the smallest box that holds `mask`, extended down by FAR_SHARE of the side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = np.zeros_like(mask)
    below = round(FAR_SHARE * len(mask))  # a heart may reach lower than the lungs
    inside[rows[0] : rows[-1] + 1 + below, columns[0] : columns[-1] + 1] = True
    return inside


def _heart(known: dict[str, NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: the heart between two lungs, where it is certain."""
    out = np.full(shape, UNKNOWN, np.uint8)
    for definition, (first, last) in HEART.items():
        names = [f"{side}_{definition}" for side in SIDES]
        lungs = [known[name] for name in names if name in known and (known[name] == 1).any()]
        if len(lungs) < len(SIDES):
            continue
        right, left = (lung == 1 for lung in lungs)
        top, bottom = _common_rows(right, left)
        for row in range(top, bottom):
            share = (row - top) / (bottom - top)
            if share <= HEARTLESS or first <= share <= last:
                out[row, _between(right[row], left[row])] = share >= first
        out[np.logical_or.reduce([lung == UNKNOWN for lung in lungs])] = UNKNOWN
    return out


def _between(right: NDArray[np.bool_], left: NDArray[np.bool_]) -> slice:
    """The columns of one row between two lungs, off both borders; none if one is not there."""
    near = round(NEAR_SHARE * len(right))
    if not (right.any() and left.any()):
        return slice(0, 0)
    begin, end = np.flatnonzero(right)[-1] + 1 + near, np.flatnonzero(left)[0] - near
    return slice(begin, max(begin, end))


def _certain(channel: str, known: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: this channel, where the other definition makes it certain."""
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
            out[_lateral(lung, side) & (_distance(~lung) > near)] = 1
        out[known[name] == UNKNOWN] = UNKNOWN
    for opposite in SIDES:
        across = f"{opposite}_{other}"
        if side and opposite != side and across in known:
            out[_distance(known[across] != 1) > near] = 0
    return out


def _lateral(lung: Mask, side: str) -> Mask:
    """(S, S): the outer part of a whole lung, which is lung field too; see `LATERAL`."""
    out = np.zeros_like(lung)
    rows = np.flatnonzero(lung.any(axis=1))
    if not len(rows):
        return out
    height = rows[-1] - rows[0] + 1
    for begin, end, share in LATERAL.get(side, ()):
        for row in range(rows[0] + round(begin * height), rows[0] + round(end * height)):
            columns = np.flatnonzero(lung[row])
            if not len(columns):
                continue
            reach = round(share * (columns[-1] - columns[0]))
            first = columns[0] if side == "right" else columns[-1] - reach
            out[row, first : first + reach + 1] = True
    return out


def _distance(mask: Mask) -> NDArray[np.float64]:
    """Pixels from each place to the nearest of `mask`; infinite if it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return distance
