"""Labels of unlabelled channels, derived from masks by the other definition where they are certain.

A mask by the definition `whole` does not show the border of the lung field. But a field never
reaches beyond the whole lung, and both have the same border towards the ribs. Far from both lungs
there is no lung. Between the lungs, in some rows all pixels are heart, and in others none is.
Such certain pixels are used for training, and all others stay unknown. Without
them a network learns nothing about the other definition on the films of a hospital whose masks are
all by one definition.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pleura.core.arrays import Mask

__all__ = [
    "fill_certain_labels",
    "mark_heart_in_field_unknown",
    "mark_heart_tops_unknown",
]

UNKNOWN = 2
"""The value of an unknown pixel; 0 is outside the structure and 1 is inside."""

BORDER_SHARE = 0.01
"""The width of the border of a mask that counts as unknown, as a share of the side. Masks by
different readers differ by about this much."""

FAR_SHARE = 0.12
"""The distance from every labelled lung, as a share of the side, from which there is no lung. At
that distance there is no heart either, except in the bounding box of both lungs."""

NO_HEART_ABOVE = 0.33
"""The share of the rows that both lungs have, counted from the top, above which there is no heart
between them. This holds for the 124 training films of JSRT, which have heart masks."""

ALL_HEART_ROWS = {"field": (0.68, 0.77), "whole": (0.62, 0.70)}
"""The first and the last row, in shares of the rows that both lungs have, between which all pixels
between the lungs are heart. On the same films, with masks of the field, 99 % of these pixels are
heart. Whole lungs reach lower, behind the diaphragm."""

SIDES = ("right", "left")

OUTER_PARTS = {
    "right": ((0.1, 0.6, 0.6), (0.6, 0.8, 0.4)),
    "left": ((0.1, 0.3, 0.4), (0.3, 0.8, 0.2)),
}
"""The parts of a whole lung that are certainly lung field, as (first, last, width): the rows from
`first` to `last`, in shares of the lung's height, and the share `width` of its width, counted from
the ribs. Heart and mediastinum lie on the inner side. On the training films of COVID and of
children, a network finds field in 99 % of these pixels; the rest is opaque lung."""

LOWEST_HEART_TOP = 0.6
"""The lowest usual top of a heart in SCR's masks of JSRT, in shares of the rows that both lungs
have, counted from the top. On the 124 training films the tops lie at 0.38 to 0.66, and 19 of 20 at
less than 0.61."""

GAP_ROWS = (0.6, 0.8)
"""The first and the last row in which the gap between the lungs is measured, in shares of the
height that both lungs have."""

MIN_GAP = 0.3
"""The smallest usual gap between the lungs at the heart's height, as a share of the chest's width.
A smaller gap means that the lung masks include the heart. The smallest gap is 0.301 on the 95
training films of Montgomery and 0.339 on the 105 of Wingspan. On 34 of the 411 of Shenzhen the gap
is smaller than 0.3. In 33 of the 411 the mask includes more than a quarter of the heart that the
network finds; 32 of these are among the 34."""


def fill_certain_labels(labels: NDArray[np.uint8], channels: tuple[str, ...]) -> NDArray[np.uint8]:
    """(C, S, S) of 0 no, 1 yes, 2 unknown -> the same, with certain pixels in unlabelled channels.

    A channel with a known pixel does not change.
    """
    out = labels.copy()
    known = {name: labels[i] for i, name in enumerate(channels) if (labels[i] != UNKNOWN).any()}
    lungs = [values == 1 for name, values in known.items() if name != "heart"]
    if not lungs:
        return out
    anywhere = np.logical_or.reduce(lungs)
    far = _distance(anywhere) > FAR_SHARE * labels.shape[-1]
    for index, channel in enumerate(channels):
        if channel == "heart" and channel not in known:
            out[index] = np.where(far & ~_in_box(anywhere), 0, _heart(known, labels.shape[1:]))
        elif channel not in known:
            out[index] = np.where(far, 0, _certain(channel, known))
    return out


def mark_heart_tops_unknown(
    labels: NDArray[np.uint8], channels: tuple[str, ...]
) -> NDArray[np.uint8]:
    """(C, S, S) of 0, 1 and 2 -> the same with the upper part of the heart unknown.

    Pleura's definition of the heart is that of SCR's masks (van Ginneken et al. 2006). These end in
    a flat line below the great vessels, while other masks rise to a point there. Such masks are
    changed, by rows in shares of the height that both lungs have: above `NO_HEART_ABOVE` there is
    no heart, between it and `LOWEST_HEART_TOP` the pixels outside the lungs are unknown, and below
    the mask stays as drawn. A film without both lungs and a heart does not change.
    """
    lungs = _two_lungs(labels, channels, "field")
    if lungs is None or "heart" not in channels:
        return labels
    out, index = labels.copy(), channels.index("heart")
    if (labels[index] == UNKNOWN).all():
        return labels
    top, bottom = _common_rows(*lungs)
    heart_top, certain_from = (
        top + round(share * (bottom - top)) for share in (NO_HEART_ABOVE, LOWEST_HEART_TOP)
    )
    out[index, :heart_top] = 0
    unknown = slice(heart_top, certain_from)
    out[index, unknown] = np.where(lungs[0] | lungs[1], 0, UNKNOWN)[unknown]
    return out


def mark_heart_in_field_unknown(
    labels: NDArray[np.uint8], channels: tuple[str, ...]
) -> NDArray[np.uint8]:
    """(C, S, S) of 0, 1 and 2 -> the same with the heart's area unknown if the fields include it.

    The fields include the heart if, in the rows of `GAP_ROWS`, the median gap between the lungs is
    less than `MIN_GAP` of the distance between their outer borders. The area begins at
    `NO_HEART_ABOVE`. Its first column is the right lung's inner border, but at most one third of
    that distance from the right lung's outer border. Its last column is four fifths of that
    distance from there. The numbers were chosen on training films only.
    """
    lungs = _two_lungs(labels, channels, "field")
    if lungs is None:
        return labels
    top, bottom = _common_rows(*lungs)
    rows = range(*(top + round(share * (bottom - top)) for share in GAP_ROWS))
    edges = [_edges(lungs[0][row], lungs[1][row]) for row in rows]
    known = np.array([edge for edge in edges if edge is not None])
    if not len(known):
        return labels
    right_outer, right_inner, left_inner, left_outer = known.T
    width = left_outer - right_outer
    if np.median((left_inner - right_inner) / width) >= MIN_GAP:
        return labels
    out = labels.copy()
    begin = np.median(np.minimum(right_inner, right_outer + width / 3))
    end = np.median(right_outer + 0.8 * width)
    first = top + round(NO_HEART_ABOVE * (bottom - top))
    for index, channel in enumerate(channels):
        if channel.endswith("field") or channel == "heart":
            out[index, first:, round(begin) : round(end)] = UNKNOWN
    return out


def _two_lungs(
    labels: NDArray[np.uint8], channels: tuple[str, ...], definition: str
) -> tuple[Mask, Mask] | None:
    """(S, S) masks of right and left lung; None if one is unknown or empty."""
    names = [f"{side}_{definition}" for side in SIDES]
    if not set(names) <= set(channels):
        return None
    right, left = (labels[channels.index(name)] == 1 for name in names)
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
    """(S, S): the smallest box around `mask`, extended downwards by FAR_SHARE of the side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = np.zeros_like(mask)
    below = round(FAR_SHARE * len(mask))  # a heart may reach lower than the lungs
    inside[rows[0] : rows[-1] + 1 + below, columns[0] : columns[-1] + 1] = True
    return inside


def _heart(known: dict[str, NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: the heart between two lungs, where it is certain."""
    out = np.full(shape, UNKNOWN, np.uint8)
    for definition, (first, last) in ALL_HEART_ROWS.items():
        names = [f"{side}_{definition}" for side in SIDES]
        lungs = [known[name] for name in names if name in known and (known[name] == 1).any()]
        if len(lungs) < len(SIDES):
            continue
        right, left = (lung == 1 for lung in lungs)
        top, bottom = _common_rows(right, left)
        for row in range(top, bottom):
            share = (row - top) / (bottom - top)
            if share <= NO_HEART_ABOVE or first <= share <= last:
                out[row, _between(right[row], left[row])] = share >= first
        out[np.logical_or.reduce([lung == UNKNOWN for lung in lungs])] = UNKNOWN
    return out


def _between(right: NDArray[np.bool_], left: NDArray[np.bool_]) -> slice:
    """The columns of one row between two lungs without their borders; none if a lung is missing."""
    border = round(BORDER_SHARE * len(right))
    if not (right.any() and left.any()):
        return slice(0, 0)
    begin, end = np.flatnonzero(right)[-1] + 1 + border, np.flatnonzero(left)[0] - border
    return slice(begin, max(begin, end))


def _certain(channel: str, known: dict[str, NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """(S, S) of 0, 1 and 2: the pixels of a channel that the other definition makes certain."""
    out = np.full_like(next(iter(known.values())), UNKNOWN)
    side, _, definition = channel.rpartition("_")
    other = {"field": "whole", "whole": "field"}[definition]
    border = BORDER_SHARE * out.shape[-1]
    name = f"{side}_{other}" if side else other
    if name in known:
        lung = known[name] == 1
        if definition == "whole":
            out[_distance(~lung) > border] = 1
        else:
            out[_distance(lung) > border] = 0
            out[_outer_part(lung, side) & (_distance(~lung) > border)] = 1
        out[known[name] == UNKNOWN] = UNKNOWN
    for opposite in SIDES:
        across = f"{opposite}_{other}"
        if side and opposite != side and across in known:
            out[_distance(known[across] != 1) > border] = 0
    return out


def _outer_part(lung: Mask, side: str) -> Mask:
    """(S, S): the part of a whole lung that is lung field too, by `OUTER_PARTS`."""
    out = np.zeros_like(lung)
    rows = np.flatnonzero(lung.any(axis=1))
    if not len(rows):
        return out
    height = rows[-1] - rows[0] + 1
    for begin, end, share in OUTER_PARTS.get(side, ()):
        for row in range(rows[0] + round(begin * height), rows[0] + round(end * height)):
            columns = np.flatnonzero(lung[row])
            if not len(columns):
                continue
            reach = round(share * (columns[-1] - columns[0]))
            first = columns[0] if side == "right" else columns[-1] - reach
            out[row, first : first + reach + 1] = True
    return out


def _distance(mask: Mask) -> NDArray[np.float64]:
    """(S, S): the distance of each pixel from `mask`, px; infinite if it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~mask)
    return distance
