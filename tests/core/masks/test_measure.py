"""Measurements against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.arrays import Mask
from pleura.core.masks.measure import measure, transverse_widths
from pleura.core.types import Box, Spacing

HEIGHT, WIDTH = 40, 60


def block(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[slice(*rows), slice(*columns)] = True
    return mask


NOTHING = block((0, 0), (0, 0))
RIGHT = block((5, 30), (4, 20))  # 25 x 16 = 400 px
LEFT = block((8, 33), (35, 55))  # 25 x 20 = 500 px


def test_areas_boxes_and_ratio() -> None:
    measured = measure(RIGHT, LEFT)
    assert (measured.right_area_px, measured.left_area_px, measured.lungs_area_px) == (
        400,
        500,
        900,
    )
    assert measured.lungs_share == 900 / 2400
    assert measured.right_to_left_ratio == 0.8
    assert measured.right_box == Box(5, 4, 30, 20)
    assert measured.left_box == Box(8, 35, 33, 55)
    assert measured.lungs_box == Box(5, 4, 33, 55)


def test_without_spacing_there_are_no_centimetres() -> None:
    measured = measure(RIGHT, LEFT)
    assert measured.right_area_cm2 is measured.left_area_cm2 is measured.lungs_area_cm2 is None
    assert measured.spacing_source is None


def test_area_takes_both_spacings() -> None:
    # A pixel of 2 mm x 0.5 mm is 1 mm2: 400 px are 4 cm2.
    measured = measure(RIGHT, LEFT, spacing=Spacing(2.0, 0.5, "PixelSpacing"))
    assert measured.right_area_cm2 == pytest.approx(4.0)
    assert measured.left_area_cm2 == pytest.approx(5.0)
    assert measured.lungs_area_cm2 == pytest.approx(9.0)
    assert measured.spacing_source == "PixelSpacing"


def test_masks_that_overlap_are_counted_once() -> None:
    assert measure(RIGHT, RIGHT).lungs_area_px == 400


def test_cardiothoracic_ratio() -> None:
    # The heart spans columns 18..39: 22 px. In rows 8..29 both lungs are there: from column 4
    # to column 54, 51 px; the rows of one lung alone are narrower.
    heart = block((20, 36), (18, 40))
    assert measure(RIGHT, LEFT, heart=heart).cardiothoracic_ratio == pytest.approx(22 / 51)


def test_heart_extents_may_lie_in_different_rows() -> None:
    # Furthest right in one row (column 15), furthest left in another (column 44): 30 px.
    heart = block((20, 22), (15, 30)) | block((24, 26), (28, 45))
    assert measure(RIGHT, LEFT, heart=heart).cardiothoracic_ratio == pytest.approx(30 / 51)
    assert measure(RIGHT, LEFT, heart=heart).heart_area_px == 2 * 15 + 2 * 17


def test_cardiothoracic_ratio_is_the_same_at_any_spacing() -> None:
    heart = block((20, 36), (18, 40))
    far = measure(RIGHT, LEFT, heart=heart, spacing=Spacing(3.0, 0.2, "user"))
    assert far.cardiothoracic_ratio == measure(RIGHT, LEFT, heart=heart).cardiothoracic_ratio


@pytest.mark.parametrize(
    ("right", "left", "heart"),
    [(RIGHT, LEFT, None), (RIGHT, LEFT, NOTHING), (NOTHING, LEFT, RIGHT), (RIGHT, NOTHING, LEFT)],
)
def test_cardiothoracic_ratio_is_undefined_without_heart_or_lung(
    right: Mask, left: Mask, heart: Mask | None
) -> None:
    assert measure(right, left, heart=heart).cardiothoracic_ratio is None


def test_no_heart_channel_is_not_a_heart_of_no_size() -> None:
    assert measure(RIGHT, LEFT).heart_area_px is None
    assert measure(RIGHT, LEFT, heart=NOTHING).heart_area_px == 0


def test_empty_masks_are_zero_pixels_and_undefined_otherwise() -> None:
    measured = measure(NOTHING, NOTHING, spacing=Spacing(1.0, 1.0, "user"))
    assert (measured.lungs_area_px, measured.lungs_share, measured.lungs_area_cm2) == (0, 0, 0)
    assert measured.right_to_left_ratio is None
    assert measured.right_box is measured.left_box is measured.lungs_box is None


def test_one_lung_has_a_ratio_only_over_the_left() -> None:
    assert measure(RIGHT, NOTHING).right_to_left_ratio is None
    assert measure(NOTHING, LEFT).right_to_left_ratio == 0


def test_widths_have_a_row_and_two_ends() -> None:
    measured = transverse_widths(RIGHT, LEFT, block((20, 36), (18, 40)))
    assert measured is not None
    heart, thorax = measured
    assert (heart.row, heart.left, heart.right, heart.pixels) == (28, 18, 40, 22)
    assert (thorax.row, thorax.pixels) == (8, 51)
