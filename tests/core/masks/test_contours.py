"""Outlines and run lengths hold the mask exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw
from scipy import ndimage

from pleura.core.arrays import Mask
from pleura.core.masks.contours import fill_outlines, mask_from_rle, outlines, rle

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans())


def signed_area(polygon: np.ndarray) -> float:
    """The shoelace formula; positive where it runs clockwise on the screen (y down)."""
    x, y = polygon.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


@given(masks)
def test_filled_outlines_are_the_mask(mask: Mask) -> None:
    np.testing.assert_array_equal(fill_outlines(outlines(mask), *mask.shape), mask)


@given(masks)
def test_enclosed_area_is_the_masks(mask: Mask) -> None:
    assert sum(signed_area(polygon) for polygon in outlines(mask)) == mask.sum()


@given(masks)
def test_one_polygon_for_each_piece_and_each_hole(mask: Mask) -> None:
    pieces = ndimage.label(mask)[1]
    holes = ndimage.label(np.pad(~mask, 1, constant_values=True), np.ones((3, 3)))[1] - 1
    areas = [signed_area(polygon) for polygon in outlines(mask)]
    assert sum(area > 0 for area in areas) == pieces
    assert sum(area < 0 for area in areas) == holes


@given(masks)
def test_outlines_turn_at_every_point(mask: Mask) -> None:
    for polygon in outlines(mask):
        step = np.roll(polygon, -1, axis=0) - polygon
        along_x = step[:, 1] == 0
        assert (along_x == (step[:, 0] != 0)).all()  # along one axis at a time
        assert (along_x != np.roll(along_x, 1)).all()  # and never straight on


def test_a_square_by_hand() -> None:
    mask = np.zeros((4, 5), np.bool_)
    mask[1:3, 1:4] = True
    (polygon,) = outlines(mask)
    assert polygon.dtype == np.float64
    assert {tuple(point) for point in polygon} == {(1, 1), (4, 1), (4, 3), (1, 3)}
    assert signed_area(polygon) == 6


def test_pixels_that_share_a_corner_have_polygons_of_their_own() -> None:
    assert len(outlines(np.eye(3, dtype=np.bool_))) == 3


def test_pillow_draws_the_same_mask() -> None:
    # Independent of our filling: drawn four times finer, sampled at the pixels' centres.
    rows, columns = np.mgrid[:60, :50]
    mask = ((rows - 31) / 23) ** 2 + ((columns - 22) / 14) ** 2 < 1
    (polygon,) = outlines(mask)
    canvas = Image.new("1", (200, 240))
    ImageDraw.Draw(canvas).polygon([(4 * x, 4 * y) for x, y in polygon], fill=1)
    np.testing.assert_array_equal(np.asarray(canvas)[2::4, 2::4], mask)


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((3, 3), np.bool_)) == []
    assert not fill_outlines([], 3, 3).any()


@given(masks)
def test_run_lengths_hold_the_mask(mask: Mask) -> None:
    counts = rle(mask)
    assert sum(counts) == mask.size
    assert all(count > 0 for count in counts[1:])
    np.testing.assert_array_equal(mask_from_rle(counts, *mask.shape), mask)


def test_run_lengths_by_hand() -> None:
    # Columns from the left, each from the top: 0 1 | 1 1 | 0 0
    assert rle(np.array([[0, 1, 0], [1, 1, 0]], np.bool_)) == [1, 3, 2]
    assert rle(np.ones((2, 2), np.bool_)) == [0, 4]
    assert rle(np.zeros((2, 2), np.bool_)) == [4]


@pytest.mark.parametrize("counts", [[3], [5, 2], [-1, 5], []])
def test_run_lengths_of_another_size_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="2 x 2"):
        mask_from_rle(counts, 2, 2)
