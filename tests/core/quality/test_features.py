"""The features of a result, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.quality.drawn import ALL, CHANNELS, chest, drawn

from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.features import expected_dice, measure_features
from pleura.core.quality.film import measure_film
from pleura.core.types import LungMasks


def test_expected_dice_by_hand():
    # Marked: 2 pixels at 0.75; beside them 1 at 0.5. 2 x 1.5 / (2 + 2.0) = 0.75.
    probabilities = np.array([[0.75, 0.75, 0.5, 0.0]], np.float32)
    assert expected_dice(probabilities, probabilities > 0.6) == pytest.approx(0.75)
    # Certain and marked whole: 1. Certain and half marked: 2 x 1 / (1 + 2).
    sure = np.array([[1, 1, 0]], np.float32)
    assert expected_dice(sure, sure > 0) == 1
    assert expected_dice(sure, np.array([[True, False, False]])) == pytest.approx(2 / 3)
    assert expected_dice(np.zeros((2, 2), np.float32), np.zeros((2, 2), bool)) is None


def test_expected_dice_is_the_mean_over_truths():
    rng = np.random.default_rng(0)
    probabilities = rng.random((40, 40)).astype(np.float32)
    mask = probabilities > 0.5
    truths = rng.random((400, 40, 40)) < probabilities
    dice = [2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for truth in truths]
    assert expected_dice(probabilities, mask) == pytest.approx(np.mean(dice), abs=2e-3)


def test_features_by_hand():
    maps, lungs = drawn()  # 2 lungs of 32 x 16 = 512 px at 0.9 in 4096
    seen = measure_features(maps, lungs, CHANNELS, definition="field")
    assert seen.expected_dice == pytest.approx(2 * 0.9 / 1.9)
    assert seen.worse_lung == pytest.approx(2 * 0.9 / 1.9)
    assert seen.mean_variance == pytest.approx(0.09)
    assert (seen.right_share, seen.left_share) == (0.125, 0.125)
    assert (seen.cleaned_share, seen.contacts, seen.exchanged) == (0.0, {}, False)
    film = measure_film(maps, CHANNELS)
    assert film.mean_variance == pytest.approx(0.09)
    assert film.numbers is not None
    assert film.numbers[14:] == pytest.approx(np.log([1 - 2 * 0.9 / 1.9, 0.09]))
    # Their box is 32 high, 48 wide: each lung a third of it, as high, a third as wide; middles at
    # row 1/2 and columns 8/48 and 40/48; an upright box has no slant.
    assert film.numbers[:14] == pytest.approx(
        [1 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 0, 1 / 3, 1, 1 / 3, 1 / 2, 5 / 6, 0,
         np.log(0.25), np.log(32 / 48)], abs=1e-9
    )  # fmt: skip


@given(st.floats(0.55, 0.99), st.integers(0, 8), st.integers(2, 20))
def test_a_film_upside_down_has_the_same_features(sure: float, top: int, height: int) -> None:
    maps, lungs = drawn(sure=sure, rows=slice(top + 1, top + 1 + height))
    flipped = ProbabilityMaps(maps[:, ::-1]), LungMasks(lungs.right[::-1], lungs.left[::-1])
    one, other = (
        measure_features(*result, CHANNELS, definition="field")
        for result in ((maps, lungs), flipped)
    )
    numbers = ("expected_dice", "worse_lung", "mean_variance", "cleaned_share", "log_uncertainty")
    for name in numbers:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6)


@given(st.integers(2, 5))
def test_the_features_do_not_depend_on_the_resolution(times: int) -> None:
    def scaled(array: np.ndarray) -> np.ndarray:
        return array.repeat(times, axis=-1).repeat(times, axis=-2)

    maps, lungs = drawn()
    large = ProbabilityMaps(scaled(maps.stored)), LungMasks(scaled(lungs.right), scaled(lungs.left))
    one, other = (
        measure_features(*result, CHANNELS, definition="field") for result in ((maps, lungs), large)
    )
    assert other.expected_dice == pytest.approx(one.expected_dice, abs=1e-6)
    assert other.mean_variance == pytest.approx(one.mean_variance, abs=1e-6)
    # A sample of 128 pixels of 5 x 64 has its borders off by less than a pixel in 64.
    own, same = (measure_film(film_maps, CHANNELS).numbers for film_maps in (maps, large[0]))
    assert same == pytest.approx(own, abs=0.03)


def test_the_features_of_the_heart_by_hand() -> None:
    numbers = measure_film(chest(), ALL).numbers
    assert numbers is not None
    # In the box of the lungs by `field`, rows 16 to 47 and columns 8 to 55: 14 x 12 of 32 x 48 px,
    # its centre at row (37 - 16) / 32 and column (32 - 8) / 48.
    assert numbers[32:] == pytest.approx(
        [168 / 1536, 21 / 32, 1 / 2, 12 / 48, 14 / 32, np.log(0.16)]
    )
