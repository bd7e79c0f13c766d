"""The Gaussian filter, against SciPy's and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pleura.core.pixels.gaussian import gaussian


@pytest.mark.parametrize(("mode", "of_scipy"), [("edge", "nearest"), ("wrap", "wrap")])
def test_it_is_that_of_scipy(mode: str, of_scipy: str) -> None:
    values = np.random.default_rng(0).standard_normal((40, 31), dtype=np.float32)
    ours = gaussian(values, (2.0, 0.7), (8, 3), mode=mode)  # type: ignore[arg-type]
    theirs = ndimage.gaussian_filter(values, (2.0, 0.7), mode=of_scipy, radius=(8, 3))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_point_becomes_the_kernel_by_hand() -> None:
    values = np.zeros((1, 5), np.float32)
    values[0, 2] = 1
    side = np.exp(-0.5)
    kernel = np.array([[0, side, 1, side, 0]]) / (1 + 2 * side)
    np.testing.assert_allclose(gaussian(values, (9, 1), (0, 1)), kernel, atol=1e-7)


def test_the_input_stays_as_it_is() -> None:
    values = np.eye(9, dtype=np.float32)
    gaussian(values, (1, 1), (3, 3))
    np.testing.assert_array_equal(values, np.eye(9))
