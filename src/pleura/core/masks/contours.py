"""Converting masks to polygons and run lengths and back, without loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pleura.core.arrays import Mask

__all__ = ["decompressed_rle", "fill_outlines", "mask_from_rle", "outlines", "rle"]

# OpenCV and scikit-image are not used, because they trace through the centres of pixels, so their
# polygons do not enclose exactly the pixels of the mask.


def outlines(mask: Mask) -> list[NDArray[np.float64]]:
    """The edges of `mask`, (H, W) bool, as closed polygons, each (N, 2) float64 of (x, y).

    They run along the edges of pixels: pixel (row r, column c) is the square c <= x <= c + 1, r <=
    y <= r + 1. So the polygons enclose exactly the mask's pixels. The first point is not repeated
    at the end, and points inside a straight line are left out. An outer edge runs clockwise on the
    screen, the edge of a hole counter-clockwise. Pixels that share only a corner are in different
    polygons. Polygons with the most corners are first. An empty mask has no polygon.
    """
    starts, steps = _edges(mask)
    follow = _links(starts, steps, mask.shape[1] + 1)
    corner = np.any(steps != steps[follow], axis=1)  # the edge after it turns
    ends = starts + steps
    polygons = [
        ends[loop][corner[loop]][:, ::-1].astype(np.float64) for loop in _loops(follow.tolist())
    ]
    polygons.sort(key=len, reverse=True)
    return polygons


def fill_outlines(polygons: Sequence[NDArray[np.float64]], height: int, width: int) -> Mask:
    """The pixels whose centres lie inside the polygons by the even-odd rule, (height, width) bool.

    Each polygon is (N, 2) of (x, y), as `outlines` gives them, of which this is the inverse; points
    may lie anywhere, also outside of the film.
    """
    flips = np.zeros((height, width + 1), dtype=np.bool_)
    for polygon in polygons:
        for (x, y), (next_x, next_y) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            low, high = sorted((y, next_y))
            rows = np.arange(*np.clip(np.ceil((low - 0.5, high - 0.5)), 0, height).astype(int))
            if len(rows):  # the rows whose centres the edge crosses
                crossed = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
                columns = np.clip(np.ceil(crossed - 0.5), 0, width).astype(int)
                flips[rows, columns] ^= True
    return np.logical_xor.accumulate(flips, axis=1)[:, :-1]


def rle(mask: Mask) -> list[int]:
    """COCO's uncompressed run lengths: column by column, zeros first; they add up to H x W."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate(([0], changes, [flat.size])))
    runs: list[int] = counts[counts > 0].tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def mask_from_rle(counts: Sequence[int], height: int, width: int) -> Mask:
    """The inverse of `rle`: (height, width) bool.

    Raises:
        ValueError: the counts do not add up to height x width.
    """
    if sum(counts) != height * width or min(counts, default=0) < 0:
        raise ValueError(
            f"run lengths add up to {sum(counts)}, expected {height} x {width} = {height * width}"
        )
    values = np.arange(len(counts)) % 2 == 1
    flat = np.repeat(values, counts)
    return np.ascontiguousarray(flat.reshape((width, height)).T)


def decompressed_rle(text: str) -> list[int]:
    """The run lengths in COCO's compressed form, a string of ASCII characters.

    Each character from 48 on holds five bits of a number, lowest first, and a flag that more
    follow; from the fourth number on it is the difference to the number before the last.

    Raises:
        ValueError: a character that does not occur in this form, or an end inside a number.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"compressed run lengths hold the character {character!r}")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last character of a number; its fifth bit is the sign
            number -= (bits & 16) << (shift - 4)
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    if shift:
        raise ValueError("compressed run lengths end inside a number")
    return counts


def _edges(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every pixel edge between mask and background -> (E, 2) starts and steps, (row, column).

    The mask lies on the right side of each edge, in the direction of its step (row 0 on top).
    """
    padded = np.pad(mask, 1)
    upper, lower = padded[:-1, 1:-1], padded[1:, 1:-1]
    before, after = padded[1:-1, :-1], padded[1:-1, 1:]
    sides = (
        (lower & ~upper, (0, 0), (0, 1)),  # a top edge runs right
        (after & ~before, (1, 0), (-1, 0)),  # a left edge runs up
        (upper & ~lower, (0, 1), (0, -1)),  # a bottom edge runs left
        (before & ~after, (0, 0), (1, 0)),  # a right edge runs down
    )
    starts = [np.argwhere(edge) + shift for edge, shift, _ in sides]
    steps = [
        np.broadcast_to(step, (len(start), 2))
        for start, (_, _, step) in zip(starts, sides, strict=True)
    ]
    return np.concatenate(starts), np.concatenate(steps)


def _links(starts: NDArray[np.intp], steps: NDArray[np.intp], stride: int) -> NDArray[np.intp]:
    """(E,): the edge that follows each edge; if two start there, the one that turns right.

    A right turn stays at the same pixel, so pixels that share only a corner stay separate.
    """
    at_start = starts @ (stride, 1)
    at_end = (starts + steps) @ (stride, 1)
    order = np.argsort(at_start, kind="stable")
    first = np.searchsorted(at_start[order], at_end, side="left")
    last = np.searchsorted(at_start[order], at_end, side="right") - 1
    one, other = order[first], order[last]
    right_turn = np.stack([steps[:, 1], -steps[:, 0]], axis=1)  # (row, column) on the screen
    return np.where(np.all(steps[one] == right_turn, axis=1), one, other)


def _loops(follow: list[int]) -> list[list[int]]:
    """The next edge of each edge -> the closed loops that the edges form."""
    seen = [False] * len(follow)
    loops = []
    for start in range(len(follow)):
        loop, edge = [], start
        while not seen[edge]:
            seen[edge] = True
            loop.append(edge)
            edge = follow[edge]
        if loop:
            loops.append(loop)
    return loops
