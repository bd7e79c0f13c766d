"""Expected Dice by hand, what must not change it, and which doubts lead to which verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.core.card import Card
from pleura.core.errors import WeightsError
from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.features import expected_dice, measure_features
from pleura.core.quality.verdict import DOUBTS, HEART_DOUBTS, REFUSING, judge
from pleura.core.reference import FEATURES, read_reference_values
from pleura.core.types import LungMasks, Quality

SIDE = 64
CHANNELS = ("right_field", "left_field")
KNOWN = len(FEATURES)


def card(**norms: Any) -> Card:
    return Card(name="by hand", version="0", channels=CHANNELS, side=SIDE, norms={"field": norms})


def estimate(**changed: float) -> dict[str, float]:
    return {"intercept": 0.0, "slope": 1.0, "poor": 0.9, **changed}


def usual(**changed: Any) -> dict[str, Any]:
    """Around the drawn film's own numbers, with a spread of 0.1 in each."""
    maps, lungs = drawn()
    numbers = measure_features(maps, lungs, CHANNELS, definition="field").numbers
    assert numbers is not None
    limits = {"unusual": 3.0, "strange": 9.0, "unsure": 0.5}
    made = {"mean": numbers.tolist(), "precision": (np.eye(KNOWN) * 100).tolist()}
    return {**made, **limits, **changed}


def boxes(right: slice, left: slice, *, rows: slice = slice(16, 48)) -> np.ndarray:
    masks = np.zeros((2, SIDE, SIDE), bool)
    masks[0, rows, right] = masks[1, rows, left] = True
    return masks


def drawn(
    right: slice = slice(8, 24), left: slice = slice(40, 56), *, sure: float = 0.9, **rows: slice
) -> tuple[ProbabilityMaps, LungMasks]:
    masks = boxes(right, left, **rows)
    return ProbabilityMaps((masks * sure).astype(np.float32)), LungMasks(masks[0], masks[1])


def codes(quality: Quality) -> list[str]:
    return [each.code for each in quality.doubts]


def verdict(*drawing: slice, sure: float = 0.9, norms: Any = None, **rows: slice) -> Quality:
    maps, lungs = drawn(*drawing, sure=sure, **rows)
    return judge(maps, lungs, card(**(norms or {})), definition="field")


def test_expected_dice_by_hand():
    # Marked: 2 pixels at 0.75; beside them 1 at 0.5. 2 x 1.5 / (2 + 2.0) = 0.75.
    said = np.array([[0.75, 0.75, 0.5, 0.0]], np.float32)
    assert expected_dice(said, said > 0.6) == pytest.approx(0.75)
    # Certain and marked whole: 1. Certain and half marked: 2 x 1 / (1 + 2).
    sure = np.array([[1, 1, 0]], np.float32)
    assert expected_dice(sure, sure > 0) == 1
    assert expected_dice(sure, np.array([[True, False, False]])) == pytest.approx(2 / 3)
    assert expected_dice(np.zeros((2, 2), np.float32), np.zeros((2, 2), bool)) is None


def test_expected_dice_is_the_mean_over_truths():
    rng = np.random.default_rng(0)
    said = rng.random((40, 40)).astype(np.float32)
    mask = said > 0.5
    truths = rng.random((400, 40, 40)) < said
    dice = [2 * (mask & each).sum() / (mask.sum() + each.sum()) for each in truths]
    assert expected_dice(said, mask) == pytest.approx(np.mean(dice), abs=2e-3)


def test_traits_by_hand():
    maps, lungs = drawn()  # 2 lungs of 32 x 16 = 512 px at 0.9 in 4096
    seen = measure_features(maps, lungs, CHANNELS, definition="field")
    assert seen.expected_dice == pytest.approx(2 * 0.9 / 1.9)
    assert seen.worse_lung == pytest.approx(2 * 0.9 / 1.9)
    assert seen.unsure == pytest.approx(0.09)
    assert (seen.right_share, seen.left_share) == (0.125, 0.125)
    assert (seen.cleaned, seen.border, seen.exchanged) == (0.0, 0.0, False)
    # Their box is 32 high, 48 wide: each lung a third of it, as high, a third as wide; middles at
    # row 1/2 and columns 8/48 and 40/48; an upright box has no slant.
    assert seen.shape == pytest.approx(
        [1 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 0, 1 / 3, 1, 1 / 3, 1 / 2, 5 / 6, 0,
         np.log(0.25), np.log(32 / 48)], abs=1e-9
    )  # fmt: skip


@given(st.floats(0.55, 0.99), st.integers(0, 8), st.integers(2, 20))
def test_a_film_upside_down_is_as_well_known(sure: float, top: int, height: int) -> None:
    maps, lungs = drawn(sure=sure, rows=slice(top + 1, top + 1 + height))
    flipped = ProbabilityMaps(maps[:, ::-1]), LungMasks(lungs.right[::-1], lungs.left[::-1])
    one, other = (
        measure_features(*each, CHANNELS, definition="field") for each in ((maps, lungs), flipped)
    )
    for name in ("expected_dice", "worse_lung", "unsure", "cleaned", "border", "doubt"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6)


@given(st.integers(2, 5))
def test_a_film_of_more_pixels_is_the_same_film(times: int) -> None:
    def scaled(array: np.ndarray) -> np.ndarray:
        return array.repeat(times, axis=-1).repeat(times, axis=-2)

    maps, lungs = drawn()
    large = ProbabilityMaps(scaled(maps.stored)), LungMasks(scaled(lungs.right), scaled(lungs.left))
    one, other = (
        measure_features(*each, CHANNELS, definition="field") for each in ((maps, lungs), large)
    )
    assert other.expected_dice == pytest.approx(one.expected_dice, abs=1e-6)
    assert other.unsure == pytest.approx(one.unsure, abs=1e-6)
    # A sample of 256 pixels of 5 x 64 has its borders off by less than a pixel in 64.
    assert other.shape == pytest.approx(one.shape, abs=0.03)


def drawings() -> Iterator[tuple[list[str], Quality]]:
    near, far = slice(8, 24), slice(40, 56)
    yield [], verdict(near, far)
    yield ["sides_exchanged"], verdict(far, near)
    yield ["one_lung_missing"], verdict(slice(0, 0), far)
    yield ["no_lungs"], verdict(slice(0, 0), slice(0, 0))
    yield ["touches_border"], verdict(slice(0, 16), far)
    yield ["unequal_lungs"], verdict(slice(2, 32), slice(50, 56))


@pytest.mark.parametrize(("expected", "quality"), list(drawings()), ids=lambda each: str(each)[:30])
def test_what_needs_no_norms(expected: list[str], quality: Quality) -> None:
    assert codes(quality) == expected
    graver = "refused" if set(expected) & set(REFUSING) else "review"
    assert quality.verdict == (graver if expected else "ok")
    assert quality.estimated_dice is None
    assert [each.text for each in quality.doubts] == [DOUBTS[code] for code in expected]


def test_much_that_was_cleaned_away_is_doubted() -> None:
    maps, lungs = drawn()
    maps.stored[0, 50:62, 8:30] = 0.8  # 264 px more, of which nothing is left: 264 / 1288 = 0.2
    quality = judge(maps, lungs, card(), definition="field")
    assert codes(quality) == ["much_cleaned"]


def test_the_estimate_is_the_cards_line() -> None:
    # doubt = (log(1 - 1.8 / 1.9) + log(0.09)) / 2, a lack of sqrt(0.05263 x 0.09) = 0.06882
    quality = verdict(norms={"estimate": estimate()})
    assert quality.estimated_dice == pytest.approx(1 - 0.0688247, abs=1e-5)
    assert quality.verdict == "ok"
    doubted = verdict(norms={"estimate": estimate(poor=0.95)})
    assert (doubted.verdict, codes(doubted)) == ("review", ["unsure_edges"])
    hopeless = verdict(norms={"estimate": estimate(intercept=9.0)})
    assert hopeless.estimated_dice == 0.0


@given(st.floats(0.55, 0.98), st.floats(0.001, 0.01))
def test_the_surer_the_better(sure: float, more: float) -> None:
    less, better = (
        verdict(sure=each, norms={"estimate": estimate()}) for each in (sure, sure + more)
    )
    assert less.estimated_dice is not None
    assert better.estimated_dice is not None
    assert less.estimated_dice < better.estimated_dice


def test_far_from_the_usual_is_reviewed_and_very_far_is_refused() -> None:
    norms = {"usual": usual(), "estimate": estimate()}
    assert verdict(norms=norms).verdict == "ok"
    # Half as high: log area and log aspect are off by log 2, 6.9 spreads each: 9.8 in all.
    low = {"rows": slice(16, 32)}
    strange = verdict(norms=norms, **low)
    assert (strange.verdict, codes(strange)) == ("refused", ["not_a_chest_film"])
    assert strange.estimated_dice is None
    unusual = verdict(norms={"usual": usual(strange=20.0)}, **low)
    assert (unusual.verdict, codes(unusual)) == ("review", ["unusual_shape"])
    unsure = verdict(sure=0.6, norms={"usual": usual(unsure=0.2, strange=99.0)})
    assert "not_a_chest_film" in codes(unsure)  # 0.6 x 0.4 = 0.24 a pixel


@pytest.mark.parametrize(
    "wrong",
    [
        {"estimate": estimate(slope=-1.0)},
        {"estimate": estimate(poor=2.0)},
        {"estimate": estimate(intercept=float("nan"))},
        {"estimate": {"slope": 1.0}},
        {"usual": {"mean": [0.0], "precision": [[1.0]], "unusual": 1, "strange": 2, "unsure": 1}},
        {"estimate": "none"},
    ],
)
def test_a_card_whose_norms_are_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"norms of 'field' cannot be used .*calibrate --write"):
        card(**wrong)


def test_norms_travel_through_the_cards_json() -> None:
    whole = card(estimate=estimate(), usual=usual())
    again = Card.from_json(whole.to_json())
    assert read_reference_values(again.norms, "field") == read_reference_values(
        whole.norms, "field"
    )
    assert read_reference_values(again.norms, "whole").estimate is None


@pytest.mark.parametrize(
    ("first", "expected", "is_doubted"),
    [(26, 0.0, False), (22, -4 / 48, True), (30, 4 / 48, False), (25, -1 / 48, True)],
)
def test_a_heart_on_the_viewers_left_is_a_doubt(
    first: int, expected: float, is_doubted: bool
) -> None:
    """The chest is columns 8 to 55, its middle 32; the heart is 12 columns wide."""
    maps, lungs = drawn()
    heart = np.zeros((SIDE, SIDE), bool)
    heart[30:44, first : first + 12] = True
    lungs = replace(lungs, heart=heart)
    seen = measure_features(maps, lungs, CHANNELS, definition="field")
    assert seen.heart_side == pytest.approx(expected)
    quality = judge(maps, lungs, card(), definition="field")
    assert ("heart_on_right" in codes(quality)) is is_doubted
    assert quality.verdict == ("review" if is_doubted else "ok")


def test_without_a_heart_its_side_is_no_doubt() -> None:
    maps, lungs = drawn()
    assert measure_features(maps, lungs, CHANNELS, definition="field").heart_side is None
    assert "heart_on_right" not in codes(judge(maps, lungs, card(), definition="field"))


HEART_CHANNELS = (*CHANNELS, "heart")


def with_heart(
    rows: slice,
    columns: slice,
    *,
    unsure: slice = slice(0, 0),
    of: tuple[slice, slice] | None = None,
) -> tuple[ProbabilityMaps, LungMasks]:
    """A heart at 0.9 and, in the same rows, columns at 0.4 beside it."""
    maps, lungs = drawn(*(of or (slice(8, 24), slice(40, 56))))
    heart = np.zeros((1, SIDE, SIDE), np.float32)
    heart[0, rows, unsure] = 0.4
    heart[0, rows, columns] = 0.9
    maps = ProbabilityMaps(np.concatenate([maps.stored, heart]))
    return maps, replace(lungs, heart=heart[0] >= 0.5)


def of_heart(*made: Any, **norms: Any) -> Quality:
    weights = Card(
        name="by hand", version="0", channels=HEART_CHANNELS, side=SIDE, norms={"field": norms}
    )
    return judge(*made, weights, definition="field")


def test_the_spread_of_the_ratio_by_hand() -> None:
    """The chest is columns 8 to 55, 48 px. At 0.8 the heart has 20 columns, at 0.2 it has 26."""
    maps, lungs = with_heart(slice(24, 44), slice(24, 44), unsure=slice(44, 50))
    seen = measure_features(maps, lungs, HEART_CHANNELS, definition="field")
    assert seen.heart_found is True
    assert seen.ratio_spread == pytest.approx(6 / 48)
    sure = measure_features(
        *with_heart(slice(24, 44), slice(24, 44)), HEART_CHANNELS, definition="field"
    )
    assert sure.ratio_spread == 0


@pytest.mark.parametrize(("end", "is_doubted"), [(44, False), (48, False), (50, True)])
def test_an_unsure_width_is_a_doubt_about_the_heart_alone(end: int, is_doubted: bool) -> None:
    """Spreads of 0, 4 / 48 = 0.083 and 6 / 48 = 0.125, around the limit of 0.1."""
    quality = of_heart(*with_heart(slice(24, 44), slice(24, 44), unsure=slice(44, end)))
    assert quality.heart is not None
    assert [doubt.code for doubt in quality.heart.doubts] == ["unsure_heart"] * is_doubted
    assert quality.heart.verdict == ("review" if is_doubted else "ok")
    assert quality.gives_ratio is not is_doubted
    assert (quality.verdict, quality.doubts) == ("ok", ())  # of the lungs


def test_without_a_heart_or_a_chest_there_is_no_ratio() -> None:
    nothing = of_heart(*with_heart(slice(0, 0), slice(0, 0)))
    assert nothing.heart is not None
    assert [doubt.code for doubt in nothing.heart.doubts] == ["no_heart"]
    one_lung = of_heart(*with_heart(slice(24, 44), slice(24, 44), of=(slice(8, 24), slice(40, 40))))
    assert one_lung.heart is not None
    assert [doubt.code for doubt in one_lung.heart.doubts] == ["no_chest_width"]


def test_a_refused_film_has_no_ratio() -> None:
    made = with_heart(slice(24, 44), slice(24, 44))
    quality = of_heart(*made, usual=usual(unsure=0.01))
    assert quality.verdict == "refused"
    assert quality.heart is not None
    assert (quality.heart.verdict, quality.gives_ratio) == ("refused", False)
    assert [doubt.code for doubt in quality.heart.doubts] == ["film_refused"]


def test_weights_without_a_heart_have_no_verdict_on_it() -> None:
    quality = verdict()
    assert quality.heart is None
    assert quality.gives_ratio


def test_codes_fit_into_dicom() -> None:
    """A CodeValue has at most 16 characters (SH)."""
    assert all(len(code) <= 16 for code in (*DOUBTS, *HEART_DOUBTS))
