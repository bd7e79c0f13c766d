"""Mirroring a film left to right before it is segmented, and mirroring its result back."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.types import Box, LungMasks, Measurements, Radiograph, Segmentation

__all__ = ["BY_HEADER", "FLIPPED", "mirror_film", "mirror_result"]

FLIPPED = (
    "the film was mirrored left to right before it was segmented, as asked for (flip); masks and "
    "boxes lie on the film as it was given"
)
"""The note on every film that was mirrored."""

BY_HEADER = (
    "the film was mirrored left to right before it was segmented, because according to its header "
    "it is stored mirrored; masks and boxes lie on the film as it was given"
)
"""The note on every film that was mirrored because of its PatientOrientation."""

SETTLED_DOUBTS = ("said_mirrored",)
"""Codes of doubts that a film no longer has after it was mirrored."""


def mirror_film(film: Radiograph, note: str = FLIPPED) -> Radiograph:
    """The film mirrored left to right, with a note, and without the `SETTLED_DOUBTS`."""
    notes = film.notes if note in film.notes else (*film.notes, note)
    doubts = tuple(code for code in film.doubts if code not in SETTLED_DOUBTS)
    pixels = np.ascontiguousarray(film.pixels[:, ::-1])
    return replace(film, pixels=pixels, notes=notes, doubts=doubts)


def mirror_result(result: Segmentation, film: Radiograph) -> Segmentation:
    """`result`, of the mirror image of `film`, mirrored back onto `film`.

    Right and left stay the patient's; areas, ratios and the verdict do not change.
    """
    width = film.size[1]
    return replace(
        result,
        radiograph=replace(result.radiograph, pixels=film.pixels),
        lungs=_mirrored_masks(result.lungs),
        probabilities=result.probabilities.mirror(),
        measurements=_mirrored_boxes(result.measurements, width),
    )


def _mirrored_masks(lungs: LungMasks) -> LungMasks:
    heart = None if lungs.heart is None else _mirrored(lungs.heart)
    return replace(lungs, right=_mirrored(lungs.right), left=_mirrored(lungs.left), heart=heart)


def _mirrored(mask: Mask) -> Mask:
    mirrored: Mask = np.ascontiguousarray(mask[:, ::-1])
    return mirrored


def _mirrored_boxes(measured: Measurements, width: int) -> Measurements:
    """The measurements with mirrored boxes, in a film of `width` columns."""
    boxes: dict[str, Any] = {
        field.name: replace(box, left=width - box.right, right=width - box.left)
        for field in fields(measured)
        if isinstance(box := getattr(measured, field.name), Box)
    }
    return replace(measured, **boxes)
