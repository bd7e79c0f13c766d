"""The way into the square and back: exact where it can be, bounded where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from pleura.core.frame import (
    DARK_PERCENTILE,
    LIGHT_PERCENTILE,
    Frame,
    dark_and_light,
    normalise,
)

sizes = st.integers(1, 600)
sides = st.integers(1, 96)


def ramp(height: int, width: int) -> NDArray[np.float32]:
    """v + u / 2 at pixel centres, v and u running from 0 to 1 from edge to edge."""
    v, u = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    return (v[:, None] + u / 2).astype(np.float32)


def reach(height: int, width: int, side: int) -> float:
    """How far the ramp can be off after one resampling.

    Weights are positive and add up to 1, and none lies further from the centre than one pixel
    of the coarser grid: a ramp of slope 1 (rows) and 1/2 (columns) is off by at most that much.
    """
    return max(1 / height, 1 / side) + max(1 / width, 1 / side) / 2 + 1e-5


@given(sizes, sizes, sides)
def test_fit_keeps_every_place(height: int, width: int, side: int) -> None:
    square = Frame(height, width, side).fit(ramp(height, width))
    assert square.shape == (1, side, side)
    assert square.dtype == np.float32
    assert np.abs(square[0] - ramp(side, side)).max() <= reach(height, width, side)


@given(sizes, sizes, sides)
def test_restore_keeps_every_place(height: int, width: int, side: int) -> None:
    maps = np.stack([ramp(side, side), 1 - ramp(side, side)])
    restored = Frame(height, width, side).restore(maps)
    assert restored.shape == (2, height, width)
    assert restored.dtype == np.float32
    assert np.abs(restored[0] - ramp(height, width)).max() <= reach(height, width, side)
    np.testing.assert_allclose(restored.sum(axis=0), 1, atol=1e-5)


@given(sizes, sizes, sides)
def test_fit_and_restore_give_the_film_again(height: int, width: int, side: int) -> None:
    frame, film = Frame(height, width, side), ramp(height, width)
    back = frame.restore(frame.fit(film))[0]
    assert np.abs(back - film).max() <= 2 * reach(height, width, side)


@given(st.integers(1, 64))
def test_a_film_of_the_squares_size_is_untouched(side: int) -> None:
    film = np.random.default_rng(side).random((side, side), dtype=np.float32)
    frame = Frame(side, side, side)
    np.testing.assert_array_equal(frame.fit(film)[0], film)
    np.testing.assert_array_equal(frame.restore(film[None])[0], film)


@given(sizes, sizes, sides, st.integers(0, 9))
def test_fit_equals_the_resize_of_pillow(height: int, width: int, side: int, seed: int) -> None:
    film = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    expected = Image.fromarray(film).resize((side, side), Image.Resampling.BILINEAR)
    square = Frame(height, width, side).fit(film)[0]
    np.testing.assert_allclose(square, np.asarray(expected), atol=2e-5)


def test_shrinking_by_two_by_hand() -> None:
    # 4 -> 2: scale 2, triangle of reach 2 about x = 1 over centres .5, 1.5, 2.5: 3/4, 3/4, 1/4,
    # divided by their sum 7/4: 3/7, 3/7, 1/7; mirrored for the other one.
    film = np.array([[7, 14, 28, 56]] * 4, np.float32)
    square = Frame(4, 4, 2).fit(film)[0]
    np.testing.assert_allclose(square[0], [3 + 6 + 4, 2 + 12 + 24], rtol=1e-6)


def test_restored_edge_lies_where_the_square_had_it() -> None:
    # Left half of the square is lung; in a film 600 wide the half ends at column 300.
    square = np.zeros((1, 64, 64), np.float32)
    square[0, :, :32] = 1
    restored = Frame(451, 600, 64).restore(square)[0]
    assert ((restored >= 0.5).sum(axis=1) == 300).all()


def test_normalise_by_hand() -> None:
    # 0..1000: percentiles 0.5 and 99.5 are 5 and 995.
    square = np.arange(1001, dtype=np.float32)[None, None]
    scaled = normalise(square)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(
        scaled[0, 0, [0, 5, 500, 995, 1000]], [0, 0, 0.5, 1, 1], rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("value", [0.0, 7.0, -1024.0, 0.1, 4095.7])
def test_a_flat_film_becomes_zero_though_resampling_rounds(value: float) -> None:
    film = np.full((301, 457), value, np.float32)
    assert not normalise(Frame(301, 457, 64).fit(film)).any()


@pytest.mark.parametrize(("gain", "offset"), [(2.0, 0.0), (0.01, 5.0), (4095.0, -1000.0)])
def test_normalise_forgets_gain_and_offset(gain: float, offset: float) -> None:
    square = np.random.default_rng(0).random((1, 32, 32), dtype=np.float32)
    changed = (gain * square + offset).astype(np.float32)
    np.testing.assert_allclose(normalise(changed), normalise(square), atol=1e-4)


@given(
    arrays(np.float32, st.integers(1, 400), elements=st.floats(-1e6, 1e6, width=32)),
)
def test_percentiles_are_numpy_s_to_the_bit(values: NDArray[np.float32]) -> None:
    expected = np.percentile(values, (DARK_PERCENTILE, LIGHT_PERCENTILE))
    assert dark_and_light(values) == tuple(expected)


def test_a_film_of_the_square_s_size_is_taken_as_it_is() -> None:
    pixels = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    frame = Frame(8, 8, 8)
    np.testing.assert_array_equal(frame.fit(pixels)[0], pixels)
    assert not np.shares_memory(frame.fit(pixels), pixels)
    np.testing.assert_array_equal(frame.above(pixels, 0.5), frame.restore(pixels[None])[0] >= 0.5)
