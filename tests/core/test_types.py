"""Nouns are valid from birth."""

from __future__ import annotations

import numpy as np
import pytest

from pleura.core.errors import UnsuitableFilm
from pleura.core.types import Box, Radiograph, Spacing


@pytest.mark.parametrize("wrong", [0.0, -0.1, float("nan"), float("inf")])
def test_spacing_is_positive_and_finite(wrong: float) -> None:
    for pair in ((wrong, 0.1), (0.1, wrong)):
        with pytest.raises(UnsuitableFilm, match="must be positive"):
            Spacing(*pair, "user")


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2), np.float64), np.zeros((2, 2, 3), np.float32), np.zeros(4, np.uint8)]
)
def test_pixels_are_rows_and_columns_of_float32(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="float32"):
        Radiograph(wrong)


def test_sizes_are_rows_first() -> None:
    assert Radiograph(np.zeros((3, 5), np.float32)).size == (3, 5)
    box = Box(top=1, left=2, bottom=4, right=9)
    assert (box.height, box.width) == (3, 7)
