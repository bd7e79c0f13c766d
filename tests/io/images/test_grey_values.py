"""A film's own grey values as a PNG: exact where they are whole numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pleura.core.masks.overlay import display
from pleura.io.images.write.png import grey_values


def samples(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.asarray(Image.open(io.BytesIO(png))).astype(np.int64)


def test_whole_numbers_are_exact_in_8_and_16_bits() -> None:
    for low, high in ((-1000, -745), (-1024, 3071), (0, 65535)):
        pixels = np.linspace(low, high, 64 * 64).round().reshape(64, 64).astype(np.float32)
        values = grey_values(pixels)
        assert (values.minimum, values.step) == (low, 1)
        assert np.array_equal(values.minimum + samples(values.png), pixels)
        depth = Image.open(io.BytesIO(values.png)).mode
        assert depth == ("L" if high - low <= 255 else "I;16")


def test_fractions_have_65536_steps() -> None:
    """Samples of a film from 0 to 1 are at most half a step of 1/65535 from it."""
    pixels = np.random.default_rng(0).random((64, 64), dtype=np.float32)
    pixels[0, :2] = 0, 1
    values = grey_values(pixels)
    assert values.step == pytest.approx(1 / 65535)
    back = values.minimum + values.step * samples(values.png)
    assert np.abs(back - pixels).max() <= 0.51 / 65535


def test_dark_and_light_are_those_of_the_display() -> None:
    pixels = np.random.default_rng(0).normal(2000, 300, (64, 64)).round().astype(np.float32)
    values = grey_values(pixels)
    share = np.clip((pixels - values.dark) / (values.light - values.dark), 0, 1)
    assert np.abs(np.rint(255 * share) - display(pixels)).max() <= 1


def test_a_flat_film_has_one_sample() -> None:
    values = grey_values(np.full((64, 64), 7, dtype=np.float32))
    assert (values.minimum, values.step) == (7, 1)
    assert not samples(values.png).any()
