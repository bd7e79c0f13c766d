"""What masks measure: areas, boxes, ratios."""

from __future__ import annotations

import numpy as np

from pleura.core.pieces import bounding_box, window
from pleura.core.types import Box, Mask, Measurements, Spacing

__all__ = ["measure"]

MM2_PER_CM2 = 100.0


def measure(
    right: Mask, left: Mask, *, heart: Mask | None = None, spacing: Spacing | None = None
) -> Measurements:
    """Measure masks of one film, each (H, W) bool; in cm2 too if the spacing is known.

    The cardiothoracic ratio (Danzer 1919, Am J Med Sci 157:513-521) is the widest transverse
    extent of the heart over the widest inner extent of the thorax. The heart's is the largest
    extent right of the midline plus the largest left of it, whatever rows they lie in, which is
    the width of the heart's box. The thorax's is the longest run along one row from the outer
    edge of one lung to that of the other. Both are horizontal, so the ratio needs no spacing. It
    is None without a heart, or with a lung missing.
    """
    lungs = right | left
    right_px, left_px, lungs_px = (int(np.count_nonzero(each)) for each in (right, left, lungs))
    cm2 = None if spacing is None else spacing.row_mm * spacing.col_mm / MM2_PER_CM2
    right_box, left_box, lungs_box = (bounding_box(each) for each in (right, left, lungs))
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
        cardiothoracic_ratio=(
            _heart_over_thorax(lungs, lungs_box, heart) if right_box and left_box else None
        ),
    )


def _heart_over_thorax(lungs: Mask, box: Box | None, heart: Mask | None) -> float | None:
    heart_box = None if heart is None else bounding_box(heart)
    if heart_box is None or box is None:
        return None
    return heart_box.width / _widest_row(lungs[window(box)])


def _widest_row(mask: Mask) -> int:
    """Most pixels between the first and the last of one row, both counted."""
    occupied = mask[mask.any(axis=1)]
    width = occupied.shape[1]
    first, last = occupied.argmax(axis=1), width - occupied[:, ::-1].argmax(axis=1)
    return int((last - first).max())
