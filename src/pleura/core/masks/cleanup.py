"""Clean-up: from probability maps to masks of lungs and heart, with a note on each change."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pleura.core.arrays import Definition, Mask
from pleura.core.card import DEFINITIONS, lung_channels
from pleura.core.errors import UsageError
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.components import (
    Piece,
    Pieces,
    bounding_box,
    fill_holes,
    split_pieces,
    window,
)
from pleura.core.masks.heart_cleanup import trim_heart
from pleura.core.masks.seam import find_seam, looks_joined
from pleura.core.types import Box, LungMasks

__all__ = [
    "PIECE_SHARE",
    "THRESHOLD",
    "PostProcessor",
    "check_definition",
    "clean",
    "disjoint_masks",
    "split_lungs",
]

THRESHOLD = 0.5
"""A pixel belongs to a mask from this probability on, at the film's native size."""

LUNG_SHARE = 0.05
"""The smallest area of a second lung, as a share of the first one's. Among 1,478 public masks,
without test films, the smallest share is 0.10."""

PIECE_SHARE = 0.15
"""The smallest area of a separate piece that is kept, as a share of the lung's largest piece."""

NOTED_SHARE = 0.01
"""The smallest share of the heart whose removal is noted."""

LUNG_DISTANCE = 0.6
"""The smallest distance between the centroids of two lungs, in widths of the wider one. The
smallest distance, measured on every third of these masks, is 0.86."""


class PostProcessor(Protocol):
    """A function that makes the masks of a film from its probability maps.

    `clean` is the one in use. Studies pass another one, to measure the effect of `clean`.
    """

    def __call__(
        self,
        probabilities: ProbabilityMaps,
        channels: tuple[str, ...],
        /,
        *,
        definition: Definition,
    ) -> LungMasks:
        """(C, H, W) probabilities, named by `channels` -> the masks, with lungs by `definition`."""


def check_definition(channels: tuple[str, ...], definition: Definition) -> tuple[str, ...]:
    """The channels that hold the lungs by `definition`: right and left, or one for both.

    Raises:
        UsageError: the definition is unknown, or these channels do not give it.
    """
    if definition not in DEFINITIONS:
        raise UsageError(f"definition must be {' or '.join(DEFINITIONS)}, got {definition!r}")
    lungs = lung_channels(channels, definition)
    if not lungs:
        given = " and ".join(name for name in DEFINITIONS if lung_channels(channels, name))
        raise UsageError(
            f"these weights give the lungs by definition '{given}', not '{definition}'; "
            f"ask for '{given}' (--lungs {given}), or take other weights"
        )
    return lungs


def clean(
    probabilities: ProbabilityMaps,
    channels: tuple[str, ...],
    *,
    definition: Definition = "field",
) -> LungMasks:
    """(C, H, W) probabilities -> masks at their size; `channels` names the C maps.

    With a channel for each lung, the channels decide which lung is the right one. With one channel
    for both, the lung on the viewer's left is the patient's right one. A missing lung stays
    missing. A note reports each part that is removed and is as large as a lung.

    Raises:
        UsageError: these channels do not give `definition`.
    """
    if len(probabilities) != len(channels):
        raise ValueError(f"{len(channels)} channels named for {len(probabilities)} maps")
    lungs = check_definition(channels, definition)
    notes: list[str] = []
    at = [channels.index(name) for name in lungs]
    if len(at) == 2:
        sides = _split(*disjoint_masks(probabilities, (at[0], at[1]), notes))
    else:
        sides = _split_by_position(probabilities.above(at[0], THRESHOLD), notes)
    right, left = _clean_lungs(sides, notes)
    heart = None
    if "heart" in channels:
        heart = _heart(probabilities, channels.index("heart"), notes)
    return LungMasks(right, left, heart, tuple(notes))


def disjoint_masks(
    maps: ProbabilityMaps, channels: tuple[int, int], notes: list[str]
) -> tuple[Mask, Mask]:
    """Two channels of the maps -> disjoint masks (H, W), right and left.

    A pixel that reaches the threshold in both belongs to the lung with the larger probability; a
    sentence in `notes` reports this.
    """
    right, left = (maps.above(channel, THRESHOLD) for channel in channels)
    box = _overlap_box(right, left)
    if box is not None:
        at = window(box)
        both = right[at] & left[at]
        to_right = maps[channels[0], *at] >= maps[channels[1], *at]
        right[at] &= ~both | to_right
        left[at] &= ~(both & to_right)
        shared = int(np.count_nonzero(both))
        notes.append(
            f"{_pixels(shared)} above the threshold in both lungs were assigned to the lung with "
            "the higher probability"
        )
    return right, left


def split_lungs(mask: Mask) -> tuple[Mask, Mask] | None:
    """A manual mask of both lungs, (H, W) -> (right, left); no pixel is lost.

    It is meant for reference masks, which are not cleaned: a small piece belongs to the lung on
    whose side it lies. None if the mask cannot be split into two lungs.
    """
    pieces = split_pieces(mask, share=LUNG_SHARE)
    on_right, on_left = _sides(list(pieces.large))
    if not (on_right and on_left):
        return None
    right, left = _mask(pieces, on_right), _mask(pieces, on_left)
    middle = (max(piece.x for piece in on_right) + min(piece.x for piece in on_left)) / 2
    near_right = np.arange(mask.shape[1]) + 0.5 < middle
    return right | (mask & ~left & near_right), left | (mask & ~right & ~near_right)


def _overlap_box(right: Mask, left: Mask) -> Box | None:
    """The smallest box around the pixels that are in both masks; None if there are none."""
    one, other = bounding_box(right), bounding_box(left)
    if one is None or other is None:
        return None
    top, bottom = max(one.top, other.top), min(one.bottom, other.bottom)
    start, end = max(one.left, other.left), min(one.right, other.right)
    if top >= bottom or start >= end:
        return None
    box = bounding_box(right[top:bottom, start:end] & left[top:bottom, start:end])
    if box is None:
        return None
    return Box(top + box.top, start + box.left, top + box.bottom, start + box.right)


def _split(right: Mask, left: Mask) -> dict[str, Pieces]:
    """The pieces of each lung."""
    return {
        "right": split_pieces(right, share=PIECE_SHARE),
        "left": split_pieces(left, share=PIECE_SHARE),
    }


def _split_by_position(lungs: Mask, notes: list[str]) -> dict[str, Pieces]:
    """A mask of both lungs -> the pieces of right and left, by their position in the film."""
    pieces = split_pieces(lungs, share=LUNG_SHARE)
    air = _air_beside_patient(pieces, notes)
    large = [piece for piece in pieces.large if piece not in air]
    _note_islands(pieces, [*large, *air], "", notes)
    right, left = _sides(large)
    if right and left:
        return {side: _pick(pieces, own) for side, own in (("right", right), ("left", left))}
    kept = _mask(pieces, large)
    return _split(*(_cut_joined_lungs(kept, notes) or _one_lung(kept, large, notes)))


def _air_beside_patient(pieces: Pieces, notes: list[str]) -> list[Piece]:
    """The large pieces that reach into a corner of the film.

    They are air beside the patient only if two other large pieces remain: in a tightly cropped film
    a lung may reach a corner too.
    """
    height, width = pieces.shape
    corners = [(row, column) for row in (0, height - 1) for column in (0, width - 1)]
    in_corners = {pieces.label_at(*corner) for corner in corners}
    air = [piece for piece in pieces.large if piece.label in in_corners]
    if not air or len(pieces.large) - len(air) < 2:
        return []
    area = sum(piece.area for piece in air)
    notes.append(f"left out {_pixels(area)} in a corner of the film, as air beside the patient")
    return air


def _sides(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """The pieces on both sides of the widest gap between centroids: the patient's right and left.

    If that gap is too narrow for two lungs, all pieces are in the first list.
    """
    row = sorted(pieces, key=lambda piece: piece.x)
    if len(row) < 2:
        return row, []
    gaps = [b.x - a.x for a, b in itertools.pairwise(row)]
    cut = int(np.argmax(gaps)) + 1
    if gaps[cut - 1] < LUNG_DISTANCE * max(piece.box.width for piece in row):
        return row, []
    return row[:cut], row[cut:]


def _cut_joined_lungs(lungs: Mask, notes: list[str]) -> tuple[Mask, Mask] | None:
    """Two joined lungs -> right and left of the seam between them; None for one lung."""
    box = bounding_box(lungs)
    if box is None or not looks_joined(lungs[window(box)], lungs.shape[1]):
        return None
    at = window(box)
    seam = find_seam(lungs[at])
    right, left = np.zeros_like(lungs), np.zeros_like(lungs)
    side = seam.left_of(box.width)
    right[at], left[at] = lungs[at] & side, lungs[at] & ~side
    areas = sorted((np.count_nonzero(right), np.count_nonzero(left)))
    if areas[0] < LUNG_SHARE * areas[1]:
        return None
    notes.append(
        f"the lungs touched in the mask and were separated along a line of {_pixels(seam.crossed)}"
    )
    return right, left


def _one_lung(kept: Mask, pieces: list[Piece], notes: list[str]) -> tuple[Mask, Mask]:
    """One lung or none, right or left by its side of the film's middle; the other mask is empty."""
    empty = np.zeros_like(kept)
    if not pieces:
        return kept, empty
    centre = sum(piece.x * piece.area for piece in pieces) / sum(piece.area for piece in pieces)
    on_left = centre < kept.shape[1] / 2
    side = "right" if on_left else "left"
    notes.append(f"only one lung was found; from its position it is assumed to be the {side} lung")
    return (kept, empty) if on_left else (empty, kept)


def _clean_lungs(pieces: dict[str, Pieces], notes: list[str]) -> tuple[Mask, Mask]:
    """Move pieces to the lung they touch, remove islands, fill holes; the masks stay disjoint."""
    pieces = _move_strays(pieces, notes)
    kept = {
        side: _drop_islands(lung, f" of the {side} lung", notes) for side, lung in pieces.items()
    }
    right = _fill(kept["right"], kept["left"].mask(), "right lung", notes)
    left = _fill(kept["left"], right, "left lung", notes)
    _note_sides(kept, notes)
    return right, left


def _move_strays(pieces: dict[str, Pieces], notes: list[str]) -> dict[str, Pieces]:
    """Move each piece that is apart from its own lung and touches the other lung to that lung."""
    moves = {}
    for side, other in (("right", "left"), ("left", "right")):
        own = pieces[side]
        if own.count > 1 and pieces[other].count:
            touching = own.touching(_mask(pieces[other], pieces[other].large[:1]))
            strays = touching[touching != own.large[0].label]
            if strays.size:
                moves[side, other] = own.pick(strays)
                area = _pixels(int(own.areas[strays].sum()))
                notes.append(
                    f"{area} marked as {side} lung touched only the {other} lung and were "
                    "moved to it"
                )
    if not moves:
        return pieces
    lungs = {side: lung.mask().copy() for side, lung in pieces.items()}
    for (side, other), moved in moves.items():
        moved.paint(lungs[side], False)
        moved.paint(lungs[other], True)
    return _split(lungs["right"], lungs["left"])


def _drop_islands(pieces: Pieces, of: str, notes: list[str]) -> Pieces:
    """The largest piece, and the pieces with at least `PIECE_SHARE` of its area."""
    _note_islands(pieces, pieces.large, of, notes)
    return _pick(pieces, pieces.large)


def _heart(maps: ProbabilityMaps, channel: int, notes: list[str]) -> Mask:
    """The heart: one piece, without holes, thin parts, or a part along the diaphragm."""
    trimmed = trim_heart(maps.stored[channel], THRESHOLD, maps.pixel)
    if trimmed.share >= NOTED_SHARE:
        notes.append(
            f"cut {trimmed.share:.0%} off the heart: thin parts, or a part along the diaphragm"
        )
    mask = ProbabilityMaps(trimmed.heart[None], maps.frame).above(0, THRESHOLD)
    pieces = split_pieces(mask, share=1.0)
    if not pieces.count:
        notes.append("no heart was found")
        return mask
    heart = pieces.large[:1]
    _note_islands(pieces, heart, " of the heart", notes, owner="the heart")
    return _fill(_pick(pieces, heart), None, "heart", notes)


def _fill(pieces: Pieces, other: Mask | None, name: str, notes: list[str]) -> Mask:
    """The mask of these pieces with its holes filled, except where `other` lies."""
    filled, holes, area = fill_holes(pieces)
    if holes:
        notes.append(f"filled {_count(holes, 'hole')} of the {name} ({_pixels(area)})")
        if other is not None:
            at = window(pieces.box)
            filled[at] &= ~other[at]
    return filled


def _pick(pieces: Pieces, kept: Sequence[Piece]) -> Pieces:
    """The pieces that are `kept`, as the pieces of their own mask."""
    if not kept:
        return pieces
    return pieces.chosen([piece.label for piece in kept], share=PIECE_SHARE)


def _mask(pieces: Pieces, chosen: Sequence[Piece]) -> Mask:
    return pieces.mask([piece.label for piece in chosen])


def _note_islands(
    pieces: Pieces, kept: Sequence[Piece], of: str, notes: list[str], *, owner: str = "a lung"
) -> None:
    """Note the number and the size of the pieces that are removed, and the size of a large one."""
    areas = np.delete(pieces.areas, [0, *(piece.label for piece in kept)])
    if not areas.size:
        return
    note = f"removed {_count(areas.size, 'island')}{of} ({_pixels(int(areas.sum()))})"
    if areas.max() >= LUNG_SHARE * pieces.areas.max():
        note += f"; the largest, of {_pixels(int(areas.max()))}, may be part of {owner}"
    notes.append(note)


def _note_sides(lungs: dict[str, Pieces], notes: list[str]) -> None:
    """Note a lung that is missing, or on the wrong side."""
    missing = [side for side, pieces in lungs.items() if not pieces.count]
    if len(missing) == 2:
        notes.append("no lung was found")
    elif missing:
        notes.append(f"the {missing[0]} lung was not found")
    elif _middle(lungs["right"].box) > _middle(lungs["left"].box):
        notes.append(
            "the right lung lies where the left one is expected: the film may be mirrored, or the "
            "heart may lie on the right"
        )


def _middle(box: Box) -> float:
    return (box.left + box.right) / 2


def _pixels(count: int) -> str:
    return _count(count, "pixel")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
