"""Runs of a mask, against scipy's labels of its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from pleura.core.arrays import Mask
from pleura.core.masks import runs as module
from pleura.core.masks.components import fill_holes, split_pieces, window
from pleura.core.masks.runs import Runs, find_gaps, find_runs, label_runs
from pleura.core.types import Box

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans())

CHECKERBOARD = np.indices((9, 12)).sum(axis=0) % 2 == 0
RINGS = np.pad(np.pad(np.ones((1, 1), np.bool_), 2), 1, constant_values=True)  # a dot in a ring
OPEN = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0]], np.bool_)  # its hole leaks at a corner
DRAWN = (
    np.zeros((5, 7), np.bool_),
    np.ones((5, 7), np.bool_),
    np.ones((1, 1), np.bool_),
    CHECKERBOARD,
    ~CHECKERBOARD,
    RINGS,
    ~RINGS,
    OPEN,
)


def everywhere(mask: Mask) -> Runs:
    return find_runs(mask, Box(0, 0, *mask.shape))


def drawn(runs: Runs, numbers: list[int]) -> np.ndarray:
    """(H, W) the number of each run's pixels, 0 elsewhere."""
    picture = np.zeros(runs.shape, np.int64)
    columns = runs.begins - runs.rows * runs.step
    for row, left, length, number in zip(runs.rows, columns, runs.lengths, numbers, strict=True):
        picture[row, left : left + length] = number
    return picture


def check(mask: Mask) -> None:
    """Labels, their order, areas, holes and filled masks are those that scipy gives."""
    runs = everywhere(mask)
    for corners in (False, True):
        expected, count = ndimage.label(mask, np.ones((3, 3)) if corners else None)
        numbers, _ = label_runs(runs, corners=corners)
        np.testing.assert_array_equal(drawn(runs, numbers.tolist()), expected)
        assert numbers.max(initial=0) == count
    labels, count = ndimage.label(mask)
    pieces = split_pieces(mask, share=0.0)
    np.testing.assert_array_equal(pieces.areas[1:], np.bincount(labels.ravel())[1:])
    outside = np.pad(~mask, 1, constant_values=True)
    holes = ndimage.label(outside, np.ones((3, 3)))[1] - 1
    expected = ndimage.binary_fill_holes(mask, np.ones((3, 3)))
    filled, count, area = fill_holes(pieces)
    np.testing.assert_array_equal(filled, expected)
    assert (count, area) == (holes, (expected & ~mask).sum())
    for label, number in enumerate(pieces.holes[1:].tolist(), start=1):
        around = np.pad(labels != label, 1, constant_values=True)
        assert number == ndimage.label(around, np.ones((3, 3)))[1] - 1
    for place in np.ndindex(*mask.shape):
        assert pieces.label_at(*place) == labels[place]


@pytest.mark.parametrize("mask", DRAWN)
def test_drawn_masks_as_scipy_has_them(mask: Mask) -> None:
    check(mask)
    check(np.asfortranarray(mask))
    check(np.pad(mask, ((0, 2), (3, 0)))[:, ::-1])


@given(masks)
def test_any_mask_as_scipy_has_it(mask: Mask) -> None:
    check(mask)


@given(masks, st.booleans())
@example(CHECKERBOARD, True)
def test_runs_paint_and_clear_the_mask_they_come_from(mask: Mask, value: bool) -> None:
    runs = everywhere(mask)
    painted = np.full(mask.shape, not value)
    runs.paint(painted, value)
    np.testing.assert_array_equal(painted, mask == value)


def test_few_long_runs_are_painted_as_many_short_ones_are() -> None:
    rng = np.random.default_rng(0)
    for share in (0.0005, 0.02, 0.5):  # pixels, of which most are runs of their own
        mask = rng.random((60, 900)) < share
        painted = np.zeros_like(mask)
        everywhere(mask).paint(painted)
        np.testing.assert_array_equal(painted, mask)


@given(masks, st.data())
def test_runs_are_those_inside_a_box(mask: Mask, data: st.DataObject) -> None:
    rows, columns = (
        sorted(data.draw(st.tuples(st.integers(0, size), st.integers(0, size))))
        for size in mask.shape
    )
    box = Box(rows[0], columns[0], rows[1], columns[1])
    inside, painted = np.zeros_like(mask), np.zeros_like(mask)
    inside[window(box)] = mask[window(box)]
    find_runs(mask, box).paint(painted)
    np.testing.assert_array_equal(painted, inside)


def test_runs_are_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.random.default_rng(0).random((50, 30)) < 0.6
    whole = everywhere(mask)
    for size in (1, 100, 1000):
        monkeypatch.setattr(module, "BLOCK", size)
        np.testing.assert_array_equal(everywhere(mask).begins, whole.begins)
        np.testing.assert_array_equal(everywhere(mask).ends, whole.ends)


def test_places_by_hand() -> None:
    mask = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 0]], np.bool_)
    runs = everywhere(mask)  # 4 places a row, the last never in a run
    assert (runs.begins.tolist(), runs.ends.tolist()) == ([0, 5, 8], [2, 7, 9])
    assert (runs.rows.tolist(), runs.lengths.tolist()) == ([0, 1, 2], [2, 2, 1])
    gaps = find_gaps(runs)
    assert (gaps.begins.tolist(), gaps.ends.tolist()) == ([-4, 2, 7, 9], [0, 5, 8, 16])
    assert [part.tolist() for part in label_runs(runs)] == [[1, 1, 2], [1, 0, 0]]
    assert [part.tolist() for part in label_runs(runs, corners=True)] == [[1, 1, 1], [1, 1, 0]]
