"""Trimming the heart's map: no thin spikes, no part along the diaphragm, a smooth outline.

The map is trimmed in the network's square, so the cost does not grow with the film. Lengths are
shares of the heart's own size, so they mean the same at any resolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask, Probabilities
from pleura.core.masks.components import bounding_box, fill_holes, split_pieces, window
from pleura.core.pixels.gaussian import gaussian
from pleura.core.types import Box

__all__ = ["Trimmed", "heart_width", "trim_heart"]

THIN = 0.06
"""Half the width of the thinnest part that is kept, over the heart's size, which is the square root
of its area. The size is about 0.4 of the chest's width, so parts thinner than 5 % of that width are
cut off."""

STUB = 0.5
"""The length of a thin part that is kept, in multiples of `THIN`, so that corners of the heart do
not move. A disc in a right-angled corner leaves a gap of 0.41 radii to the corner point."""

NOTCH = 0.08
"""The smallest depth of a notch between heart and diaphragm, over the heart's size."""

NOTCH_FROM = (0.5, 0.6)
"""The share of the heart's height, counted from the top, below which notches count, on the right
and the left side of the patient. Above, the great vessels and the left atrium make other
notches."""

SMOOTH = 0.012
"""The standard deviation of the smoothing, over the heart's size."""

FEWEST = 64
"""The smallest area of a heart that is trimmed, pixels of the square."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trimmed:
    """The heart's map without the parts that were cut off."""

    heart: Probabilities
    """(S, S) as the network's map, 0 in the parts that were cut off."""

    share: float
    """The area that was cut off, over that of the largest piece before."""


def trim_heart(heart: Probabilities, threshold: float, pixel: tuple[float, float]) -> Trimmed:
    """Trim the largest piece of `heart`, (S, S), at `threshold`; other pieces stay.

    `pixel` is the height and the width of a pixel of the square, in the same unit. Three steps:

    - Parts thinner than twice `THIN` are cut off except for a stub (a morphological opening).
    - Below a notch in the outline, pixels that lie farther out than the notch are cut off.
    - The map is smoothed, which smooths the outline too.
    """
    piece = _largest_piece(heart >= threshold, pixel)
    if piece is None:
        return Trimmed(heart, 0.0)
    at, scale = window(piece.box), piece.scale
    trimmed = heart[at].copy()
    cut = piece.whole & ~piece.kept
    trimmed[cut] = 0
    out = heart.copy()
    out[at] = _smoothed(trimmed, (SMOOTH * scale[0], SMOOTH * scale[1]))
    return Trimmed(out, float(np.count_nonzero(cut) / np.count_nonzero(piece.whole)))


def heart_width(heart: Probabilities, threshold: float, pixel: tuple[float, float]) -> int:
    """The columns of the square between both ends of the trimmed heart; 0 if there is no heart."""
    piece = _largest_piece(heart >= threshold, pixel)
    box = None if piece is None else bounding_box(piece.kept)
    return 0 if box is None else box.width


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The largest piece of a mask of the square, before and after trimming."""

    box: Box
    """Around the piece, with a margin for the smoothing."""

    scale: tuple[float, float]
    """The heart's size, in rows and in columns of the square."""

    whole: Mask
    """(h, w) of the box: the piece with its holes filled."""

    kept: Mask
    """(h, w) of the box: the same without the parts that are cut off."""


def _largest_piece(mask: Mask, pixel: tuple[float, float]) -> _Piece | None:
    """The largest piece of (S, S) `mask`; None if it is too small to be trimmed."""
    pieces = split_pieces(mask, share=1.0)
    if not pieces.count or (area := pieces.large[0].area) < FEWEST:
        return None
    filled, _, _ = fill_holes(pieces.chosen([pieces.large[0].label], share=1.0))
    size = np.sqrt(area * pixel[0] * pixel[1])
    scale = float(size / pixel[0]), float(size / pixel[1])
    box = _around(pieces.large[0].box, scale, mask.shape)
    whole = filled[window(box)]
    kept = _without_thin(whole, scale)
    if _cut_along_diaphragm(kept, scale):
        kept = _without_thin(kept, scale)  # the rest between notch and diaphragm is thin
    return _Piece(box, scale, whole, kept) if kept.any() else None


def _around(box: Box, scale: tuple[float, float], shape: tuple[int, ...]) -> Box:
    """`box` with a margin for the smoothing, inside the square."""
    rows, columns = (int(np.ceil(4 * SMOOTH * length)) + 2 for length in scale)
    return Box(
        max(box.top - rows, 0),
        max(box.left - columns, 0),
        min(box.bottom + rows, shape[0]),
        min(box.right + columns, shape[1]),
    )


def _without_thin(mask: Mask, scale: tuple[float, float]) -> Mask:
    """`mask` without its thin parts; its corners are kept."""
    reach = THIN * scale[0], THIN * scale[1]
    wider = reach[0] * (1 + STUB), reach[1] * (1 + STUB)
    grown: Mask = mask & _dilated(_eroded(mask, reach), wider)
    return grown


def _eroded(mask: Mask, reach: tuple[float, float]) -> Mask:
    """Erosion: the pixels whose ellipse of half axes `reach` (rows, columns) lies in `mask`."""
    high, wide = int(reach[0]), int(reach[1])
    height, width = mask.shape
    padded = np.pad(mask, ((high, high), (wide + 1, wide)))
    sums = np.cumsum(padded, axis=1, dtype=np.int32)
    out = np.ones_like(mask)
    for row in range(-high, high + 1):
        half = int(reach[1] * np.sqrt(1 - (row / reach[0]) ** 2)) if row else wide
        rows = sums[high + row : high + row + height]
        right = rows[:, wide + half + 1 : wide + half + 1 + width]
        left = rows[:, wide - half : wide - half + width]
        out &= right - left == 2 * half + 1
    return out


def _dilated(mask: Mask, reach: tuple[float, float]) -> Mask:
    """Dilation: the pixels whose ellipse of half axes `reach` (rows, columns) meets `mask`."""
    room = int(reach[0]), int(reach[1])
    outside = np.pad(~mask, ((room[0],) * 2, (room[1],) * 2), constant_values=True)
    grown: Mask = ~_eroded(outside, reach)[
        room[0] : room[0] + mask.shape[0], room[1] : room[1] + mask.shape[1]
    ]
    return grown


def _cut_along_diaphragm(mask: Mask, scale: tuple[float, float]) -> bool:
    """Cut off, in place, the part along the diaphragm; returns whether there was one.

    The border of a heart is convex on both sides. At a notch, heart and diaphragm meet; the part
    below that lies farther to the side belongs to the diaphragm.
    """
    box = bounding_box(mask)
    if box is None:
        return False
    part, is_cut = mask[window(box)], False
    for side, begin in zip((part, part[:, ::-1]), NOTCH_FROM, strict=True):
        rows = np.flatnonzero(side.any(axis=1))
        reach = (side.shape[1] - side[rows].argmax(axis=1)).astype(float)
        widest = int(reach.argmax())
        depth = _hull(rows[: widest + 1], reach[: widest + 1]) - reach[: widest + 1]
        depth[rows[: widest + 1] < begin * box.height] = 0
        notch = int(depth.argmax())
        if depth[notch] > NOTCH * scale[1]:
            side[rows[notch] :, : side.shape[1] - int(reach[notch])] = False
            is_cut = True
    return is_cut


def _hull(rows: NDArray[np.intp], reach: Floats) -> Floats:
    """(N,): the reach of the convex hull in these rows, which are in rising order."""
    corners: list[tuple[float, float]] = []
    for point in zip(rows.tolist(), reach.tolist(), strict=True):
        while len(corners) > 1 and _lies_inside(corners[-2], corners[-1], point):
            corners.pop()
        corners.append(point)
    at, out = zip(*corners, strict=True)
    hull: Floats = np.interp(rows, at, out)
    return hull


def _lies_inside(
    before: tuple[float, float], middle: tuple[float, float], after: tuple[float, float]
) -> bool:
    """Whether `middle` lies on the line between its neighbours, or on the inner side of it."""
    down, farther = middle[0] - before[0], middle[1] - before[1]
    return down * (after[1] - before[1]) >= farther * (after[0] - before[0])


def _smoothed(values: Probabilities, deviation: tuple[float, float]) -> Probabilities:
    """A Gaussian filter of these standard deviations, px; the values at the edge are repeated."""
    return gaussian(values, deviation, [max(1, int(np.ceil(3 * sigma))) for sigma in deviation])
