"""The interval of a mean: compared with SciPy's, and edge cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from pleura.lab.evaluate.statistics import mean_interval

RNG = np.random.default_rng(3)
VALUES = list(1 - RNG.gamma(1.0, 0.03, 120))  # skewed like Dice
ALONE = [str(index) for index in range(120)]


def test_one_film_a_patient_is_the_ordinary_bca_interval():
    interval = mean_interval(VALUES, ALONE, seed=0)
    expected = bootstrap((VALUES,), np.mean, method="BCa", rng=1).confidence_interval
    assert interval == pytest.approx(expected, abs=0.05 * (expected[1] - expected[0]))
    # The values are skewed: the lower part of the interval is longer.
    assert np.mean(VALUES) - interval[0] > interval[1] - np.mean(VALUES)


def test_films_of_one_patient_are_drawn_together():
    """Compared with SciPy on the sum and the count of each patient, drawn as pairs."""
    patients = [str(index // 4) for index in range(120)]
    sums, counts = np.reshape(VALUES, (30, 4)).sum(axis=1), np.full(30, 4.0)
    expected = bootstrap(
        (sums, counts),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        vectorized=True,
        method="BCa",
        rng=1,
    ).confidence_interval
    interval = mean_interval(VALUES, patients, seed=0)
    assert interval == pytest.approx(expected, abs=0.05 * (expected[1] - expected[0]))


def test_copies_of_a_film_do_not_narrow_the_interval():
    """Four equal films of a patient give the same interval as one."""
    once = mean_interval(VALUES, ALONE, seed=0)
    copied = mean_interval(np.repeat(VALUES, 4).tolist(), np.repeat(ALONE, 4).tolist(), seed=0)
    assert copied == pytest.approx(once, abs=1e-9)


def test_the_seed_decides_the_draws():
    assert mean_interval(VALUES, ALONE, seed=7) == mean_interval(VALUES, ALONE, seed=7)
    assert mean_interval(VALUES, ALONE, seed=7) != mean_interval(VALUES, ALONE, seed=8)


def test_equal_values_have_an_interval_of_one_point():
    assert mean_interval([0.5] * 6, ALONE[:6], seed=0) == (0.5, 0.5)


def test_fewer_than_five_patients_have_none():
    assert mean_interval(VALUES[:4], ALONE[:4], seed=0) is None
    assert mean_interval(VALUES[:8], ["a", "b"] * 4, seed=0) is None
    assert mean_interval(VALUES[:5], ALONE[:5], seed=0) is not None
