"""Temperatures against odds derived by hand: the odds p / (1 - p) to the power 1 / T."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.lab.evaluate.calibration import scale_temperature


def one(probability: float, temperature: float) -> float:
    return float(
        scale_temperature(np.full((1, 1, 1), probability, np.float32), temperature)[0, 0, 0]
    )


@pytest.mark.parametrize(
    ("probability", "temperature", "expected"),
    [
        (0.8, 2.0, 2 / 3),  # odds 4 -> 2
        (0.9, 2.0, 0.75),  # odds 9 -> 3
        (0.1, 2.0, 0.25),
        (0.8, 0.5, 16 / 17),  # odds 4 -> 16
        (0.5, 3.0, 0.5),
        (0.0, 3.0, 0.0),
        (1.0, 0.05, 1.0),
    ],
)
def test_odds_are_taken_to_a_power(probability, temperature, expected):
    assert one(probability, temperature) == pytest.approx(expected, abs=1e-6)


def test_temperature_one_returns_the_same_array():
    maps = np.random.default_rng(0).random((2, 3, 4), np.float32)
    assert scale_temperature(maps, 1.0) is maps
    assert scale_temperature(maps, 2.0).dtype == np.float32


@given(st.floats(0.05, 0.95), st.floats(0.5, 2))
def test_the_inverse_temperature_undoes_it_and_no_pixel_crosses_the_threshold(
    probability, temperature
):
    there = one(probability, temperature)
    assert one(there, 1 / temperature) == pytest.approx(probability, abs=1e-3)
    assert (there > 0.5) == (np.float32(probability) > 0.5) or there == 0.5
