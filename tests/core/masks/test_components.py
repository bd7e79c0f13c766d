"""Pieces and holes of a mask, against scipy's slower ways and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from pleura.core.arrays import Mask
from pleura.core.masks import runs
from pleura.core.masks.components import bounding_box, fill_holes, split_pieces, window
from pleura.core.types import Box

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans())


@given(masks)
def test_the_box_is_the_smallest_one_with_every_pixel(mask: Mask) -> None:
    box = bounding_box(mask)
    if box is None:
        assert not mask.any()
        return
    inside = mask[window(box)]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


@given(masks)
def test_pieces_make_up_the_mask(mask: Mask) -> None:
    pieces = split_pieces(mask, share=0.0)
    assert pieces.count == len(pieces.large) == ndimage.label(mask)[1]
    np.testing.assert_array_equal(pieces.mask([piece.label for piece in pieces.large]), mask)
    areas = [piece.area for piece in pieces.large]
    assert areas == sorted(areas, reverse=True)
    for piece in pieces.large:
        own = pieces.mask([piece.label])
        assert bounding_box(own) == piece.box
        assert own.sum() == piece.area
        assert abs(np.argwhere(own)[:, 1].mean() + 0.5 - piece.x) < 1e-9


@given(masks)
def test_holes_are_filled_as_scipy_fills_them(mask: Mask) -> None:
    # scipy lets the outside in over edges alone; ours, over corners too.
    filled, holes, area = fill_holes(split_pieces(mask, share=1.0))
    expected = ndimage.binary_fill_holes(mask, structure=np.ones((3, 3)))
    np.testing.assert_array_equal(filled, expected)
    assert area == (expected & ~mask).sum()
    assert (holes > 0) == (area > 0)


@given(masks, masks)
def test_touching_is_sharing_an_edge(mask: Mask, other: Mask) -> None:
    height, width = (min(a, b) for a, b in zip(mask.shape, other.shape, strict=True))
    mask, other = mask[:height, :width], other[:height, :width] & ~mask[:height, :width]
    pieces = split_pieces(mask, share=0.0)
    near = ndimage.binary_dilation(other)
    expected = [
        label
        for label in range(1, pieces.count + 1)
        if bounding_box(mask) is not None and (pieces.mask([label]) & near).any()
    ]
    assert pieces.touching(other).tolist() == expected


@given(masks)
def test_a_mask_without_changes_is_not_copied(mask: Mask) -> None:
    pieces = split_pieces(mask, share=0.0)
    assert pieces.mask() is pieces.mask(list(range(1, pieces.count + 1))) is mask
    if pieces.count > 1:
        part = pieces.mask([1])
        assert not np.shares_memory(part, mask)
    filled, holes, _ = fill_holes(pieces)
    assert (filled is mask) == (not holes)
    assert filled is mask or not np.shares_memory(filled, mask)


def test_large_pieces_by_hand() -> None:
    mask = np.zeros((20, 30), np.bool_)
    mask[2:12, 3:13] = True  # 100 px, centre at column 8
    mask[15:17, 20:25] = True  # 10 px, centre at column 22.5
    mask[0, 29] = True  # 1 px
    pieces = split_pieces(mask, share=0.05)
    assert [(piece.area, piece.x, piece.box) for piece in pieces.large] == [
        (100, 8.0, Box(2, 3, 12, 13)),
        (10, 22.5, Box(15, 20, 17, 25)),
    ]
    assert pieces.count == 3
    assert pieces.label_at(19, 0) == 0
    assert pieces.label_at(5, 5) == pieces.large[0].label


@given(masks, st.floats(0, 1), st.data())
def test_chosen_pieces_are_those_of_their_own_mask(
    mask: Mask, share: float, data: st.DataObject
) -> None:
    pieces = split_pieces(mask, share=0.0)
    labels = data.draw(st.sets(st.sampled_from(range(1, pieces.count + 1)))) if mask.any() else []
    if not labels:
        return
    made = pieces.chosen(sorted(labels), share=share)
    expected = split_pieces(pieces.mask(sorted(labels)), share=share)
    assert (made.shape, made.box) == (expected.shape, expected.box)
    np.testing.assert_array_equal(made.labels, expected.labels)
    np.testing.assert_array_equal(made.runs.begins, expected.runs.begins)
    np.testing.assert_array_equal(made.runs.ends, expected.runs.ends)
    np.testing.assert_array_equal(made.holes, expected.holes)
    np.testing.assert_array_equal(made.mask(), expected.mask())
    np.testing.assert_array_equal(made.areas, expected.areas)
    for one, other in zip(made.large, expected.large, strict=True):
        assert (one.label, one.area, one.box) == (other.label, other.area, other.box)
        assert abs(one.x - other.x) < 1e-9


@given(masks)
def test_holes_are_the_same_where_the_pieces_are_known(mask: Mask) -> None:
    pieces = split_pieces(mask, share=0.0)
    if not pieces.count:
        return
    known = pieces.chosen([pieces.large[0].label], share=0.0)
    filled, *counts = fill_holes(split_pieces(known.mask(), share=0.0))
    np.testing.assert_array_equal(fill_holes(known)[0], filled)
    assert [*fill_holes(known)[1:]] == counts


def test_holes_across_strips_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BLOCK", 8 * 256)
    mask = np.ones((600, 3), np.bool_)
    mask[255:257, 1] = mask[400, 1] = False  # two holes, one of them across two strips of 256
    assert fill_holes(split_pieces(mask, share=0.0))[1:] == (2, 3)
