"""Mirroring a film left to right before it is segmented, and its result back onto the film."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.types import Box, LungMasks, Measurements, Radiograph, Segmentation

__all__ = ["BY_THE_FILE", "FLIPPED", "mirror_film", "mirror_result"]

FLIPPED = (
    "the film was mirrored left to right before it was segmented, as asked for (flip); masks and "
    "boxes lie on the film as it was given"
)
"""The note on every film that was mirrored."""

BY_THE_FILE = (
    "the film was mirrored left to right before it was segmented, since its file says that it is "
    "stored mirrored; masks and boxes lie on the film as it was given"
)
"""The note on every film that was mirrored because its PatientOrientation says so."""

SETTLED = ("said_mirrored",)
"""Codes of doubts that no longer hold for a film that was mirrored."""


def mirror_film(film: Radiograph, note: str = FLIPPED) -> Radiograph:
    """The film mirrored left to right, with a note; the doubts that this settles are left out."""
    notes = film.notes if note in film.notes else (*film.notes, note)
    doubts = tuple(code for code in film.doubts if code not in SETTLED)
    pixels = np.ascontiguousarray(film.pixels[:, ::-1])
    return replace(film, pixels=pixels, notes=notes, doubts=doubts)


def mirror_result(result: Segmentation, film: Radiograph) -> Segmentation:
    """`result` mirrored left to right onto `film`, of which its own film is the mirror image.

    Right and left stay the patient's; areas, ratios and the verdict stay what they are.
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
    """The boxes in a film of so many columns, mirrored; all other values stay."""
    boxes: dict[str, Any] = {
        field.name: replace(box, left=width - box.right, right=width - box.left)
        for field in fields(measured)
        if isinstance(box := getattr(measured, field.name), Box)
    }
    return replace(measured, **boxes)
