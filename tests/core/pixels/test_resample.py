"""The triangle filter by hand, and bands that together are the whole line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.pixels import resample as module
from pleura.core.pixels.resample import (
    band,
    bands,
    filter_support,
    resample,
    resample_columns,
    resample_rows,
)


def test_enlarging_goes_in_straight_lines_between_pixel_centres() -> None:
    """Two pixels to four: new centres at 0.25, 0.75, 1.25, 1.75 old pixels, old at 0.5, 1.5."""
    line = np.array([[0.0], [4.0]], np.float32)
    np.testing.assert_allclose(resample_rows(line, 4)[:, 0], [0, 1, 3, 4])


def test_shrinking_takes_a_wider_mean() -> None:
    """Four pixels to two: a triangle 2 old pixels wide part way around 1 and 3. Of the first new
    pixel the old ones lie at -0.5, 0.5 and 1.5 from it, of weight 3/4, 3/4 and 1/4."""
    weights = band(4, 2, slice(0, 2)).weights
    np.testing.assert_allclose(weights[0], np.array([3, 3, 1, 0]) / 7, rtol=1e-6)
    np.testing.assert_allclose(weights[1], np.array([0, 1, 3, 3]) / 7, rtol=1e-6)


@given(st.integers(1, 700), st.integers(1, 700))
def test_bands_are_the_line_in_order_and_means(old: int, new: int) -> None:
    all_bands = bands(old, new)
    assert [part.new_pixels.start for part in all_bands[1:]] == [
        part.new_pixels.stop for part in all_bands[:-1]
    ]
    assert (all_bands[0].new_pixels.start, all_bands[-1].new_pixels.stop) == (0, new)
    first, last = filter_support(old, new)
    for part in all_bands:
        np.testing.assert_allclose(part.weights.sum(axis=1), 1, atol=1e-5)
        whole = np.zeros((len(part.weights), old), np.float32)
        whole[:, part.old_pixels] = part.weights
        for row, begin, end in zip(
            whole, first[part.new_pixels], last[part.new_pixels], strict=True
        ):
            assert row[begin] > 0 < row[end]
            assert not row[:begin].any()
            assert not row[end + 1 :].any()


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90), st.integers(1, 90))
def test_a_part_of_a_line_is_that_part_of_it(old: int, new: int, one: int, other: int) -> None:
    begin, end = sorted((one % new, other % new))
    image = np.random.default_rng(0).random((old, 3), dtype=np.float32)
    part = band(old, new, slice(begin, end + 1)).rows(image)
    np.testing.assert_allclose(part, resample_rows(image, new)[begin : end + 1], atol=1e-6)


@pytest.mark.parametrize("products", [1, 50, 2**30])
def test_the_block_size_does_not_change_the_result(
    products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.random.default_rng(0).random((130, 170), dtype=np.float32)
    expected = resample(image, (61, 300))
    monkeypatch.setattr(module, "MAX_PRODUCTS", products)
    np.testing.assert_allclose(resample(image, (61, 300)), expected, atol=1e-6)


def test_rows_and_columns_are_resampled_alike() -> None:
    image = np.random.default_rng(0).random((97, 41), dtype=np.float32)
    np.testing.assert_allclose(resample_columns(image.T, 33), resample_rows(image, 33).T, atol=1e-6)
