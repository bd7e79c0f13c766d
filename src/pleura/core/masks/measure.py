"""Measuring masks: areas, boxes, ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.masks.components import bounding_box, window
from pleura.core.types import Measurements, Spacing

__all__ = ["TransverseWidth", "measure", "transverse_widths"]

MM2_PER_CM2 = 100.0


@dataclass(frozen=True, slots=True)
class TransverseWidth:
    """A horizontal extent in one row of a film, px."""

    row: int
    left: int
    right: int
    """One past the last column."""

    @property
    def pixels(self) -> int:
        """The length of the extent."""
        return self.right - self.left


def measure(
    right: Mask,
    left: Mask,
    *,
    heart: Mask | None = None,
    spacing: Spacing | None = None,
    gives_ratio: bool = True,
) -> Measurements:
    """Measure the masks of one film, (H, W) bool; areas also in cm2 if the spacing is known.

    The cardiothoracic ratio (Danzer 1919, Am J Med Sci 157:513-521) is the widest transverse
    extent of the heart over the widest inner extent of the thorax. The heart's extent is the
    largest extent right of the midline plus the largest one left of it, in any rows; this is the
    width of the heart's box. The thorax's extent is the longest distance along one row from the
    outer edge of one lung to that of the other. Both are horizontal, so the ratio needs no spacing.
    It is None if the heart or a lung is missing, or without `gives_ratio`.
    """
    lungs = right | left
    right_px, left_px, lungs_px = (int(np.count_nonzero(mask)) for mask in (right, left, lungs))
    cm2 = None if spacing is None else spacing.row_mm * spacing.col_mm / MM2_PER_CM2
    widths = transverse_widths(right, left, heart) if gives_ratio else None
    right_box, left_box, lungs_box = (bounding_box(mask) for mask in (right, left, lungs))
    return Measurements(
        right_area_px=right_px,
        left_area_px=left_px,
        lungs_area_px=lungs_px,
        lungs_share=lungs_px / lungs.size,
        right_to_left_ratio=right_px / left_px if left_px else None,
        right_box=right_box,
        left_box=left_box,
        lungs_box=lungs_box,
        right_area_cm2=None if cm2 is None else right_px * cm2,
        left_area_cm2=None if cm2 is None else left_px * cm2,
        lungs_area_cm2=None if cm2 is None else lungs_px * cm2,
        spacing_source=None if spacing is None else spacing.source,
        heart_area_px=None if heart is None else int(np.count_nonzero(heart)),
        cardiothoracic_ratio=None if widths is None else widths[0].pixels / widths[1].pixels,
    )


def transverse_widths(
    right: Mask, left: Mask, heart: Mask | None
) -> tuple[TransverseWidth, TransverseWidth] | None:
    """(heart's, thorax's): the two widths of the cardiothoracic ratio; None if it is undefined.

    The row of the heart's width is the middle of its height. The row of the thorax's width is the
    first of its widest rows.
    """
    lungs = right | left
    box, heart_box = bounding_box(lungs), None if heart is None else bounding_box(heart)
    if box is None or heart_box is None or not (right.any() and left.any()):
        return None
    inside = lungs[window(box)]
    first, last = inside.argmax(axis=1), box.width - inside[:, ::-1].argmax(axis=1)
    spans = np.where(inside.any(axis=1), last - first, 0)
    row = int(spans.argmax())
    thorax = TransverseWidth(box.top + row, box.left + int(first[row]), box.left + int(last[row]))
    middle = (heart_box.top + heart_box.bottom) // 2
    return TransverseWidth(middle, heart_box.left, heart_box.right), thorax
