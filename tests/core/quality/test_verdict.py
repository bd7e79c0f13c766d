"""The verdict on a result, and its doubts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.quality.drawn import ALL, CHANNELS, SIDE, card, chest, codes, drawn, usual, verdict

from pleura.core.card import Card
from pleura.core.errors import WeightsError
from pleura.core.frame import Frame, ProbabilityMaps
from pleura.core.masks.cleanup import clean
from pleura.core.quality.features import measure_features
from pleura.core.quality.film import measure_film
from pleura.core.quality.verdict import DOUBTS, HEART_DOUBTS, REFUSING_CODES, judge_masks
from pleura.core.reference import read_reference_values
from pleura.core.types import LungMasks, Quality


def estimate(**changed: float) -> dict[str, float]:
    return {"intercept": 0.0, "slope": 1.0, "poor": 0.9, **changed}


def drawings() -> Iterator[tuple[list[str], Quality]]:
    near, far = slice(8, 24), slice(40, 56)
    yield [], verdict(near, far)
    yield ["sides_exchanged"], verdict(far, near)
    yield ["one_lung_missing"], verdict(slice(0, 0), far)
    yield ["no_lungs"], verdict(slice(0, 0), slice(0, 0))
    yield ["touches_border"], verdict(slice(0, 16), far)
    yield ["unequal_lungs"], verdict(slice(4, 34), slice(50, 56))


@pytest.mark.parametrize(("expected", "quality"), list(drawings()), ids=lambda item: str(item)[:30])
def test_doubts_that_need_no_reference_values(expected: list[str], quality: Quality) -> None:
    assert codes(quality) == expected
    graver = "refused" if set(expected) & set(REFUSING_CODES) else "review"
    assert quality.verdict == (graver if expected else "ok")
    assert quality.estimated_dice is None
    texts = [doubt.text for doubt in quality.doubts if doubt.code != "touches_border"]
    assert texts == [DOUBTS[code] for code in expected if code != "touches_border"]


@pytest.mark.parametrize(
    ("place", "contact"),
    [
        ({"right": slice(3, 24)}, "right lung on the patient's right"),
        ({"left": slice(40, 61)}, "left lung on the patient's left"),
        ({"rows": slice(3, 48)}, "right lung above, left lung above"),
        ({"rows": slice(16, 61)}, "right lung below, left lung below"),
    ],
)
def test_an_outline_up_to_3_px_short_of_the_edge_is_cut_off(
    place: dict[str, slice], contact: str
) -> None:
    """3 px are left between the lung and the edge of the square of 64; with 4 it is not cut off."""
    maps, lungs = drawn(**place)
    (doubt,) = judge_masks(maps, lungs, card(), definition="field").doubts
    assert doubt.code == "touches_border"
    begin, end = DOUBTS["touches_border"].split(":")
    assert doubt.text == f"{begin} ({contact}):{end}"
    inside = {
        name: slice(at.start + (at.start == 3), at.stop - (at.stop == 61))
        for name, at in place.items()
    }
    assert judge_masks(*drawn(**inside), card(), definition="field").verdict == "ok"


def test_the_distance_from_the_edge_is_in_pixels_of_the_network() -> None:
    """A film of 320 px in a square of 64: 3 px of the square are 15 of the film."""
    maps, _ = drawn(slice(3, 24))
    small = Frame(5 * SIDE, 5 * SIDE, SIDE)
    for first, is_cut in ((15, True), (16, False)):
        right, left = (np.zeros((5 * SIDE, 5 * SIDE), bool) for _ in range(2))
        right[80:240, first:120], left[80:240, 200:280] = True, True
        seen = measure_features(
            replace(maps, frame=small), LungMasks(right, left), CHANNELS, definition="field"
        )
        # 160 rows of the film are 32 px; both lungs have 160 x (120 - first + 80) px of 1/25
        length = 32 / np.sqrt(160 * (200 - first) / 25)
        expected = {("right lung", "on the patient's right"): length} if is_cut else {}
        assert seen.contacts == pytest.approx(expected)


def test_a_tip_at_the_edge_is_not_cut_off() -> None:
    # Beside 2 x 32 x 16 px, 2 columns of 16 px reach the edge: 2 / sqrt(1056) = 0.06; 1: 0.03.
    maps, lungs = drawn()
    for columns, is_cut in ((2, True), (1, False)):
        lungs.right[:, :] = False
        lungs.right[16:48, 8:24] = True
        lungs.right[:16, 8 : 8 + columns] = True
        area = 1024 + 16 * columns
        seen = measure_features(maps, lungs, CHANNELS, definition="field")
        assert seen.contacts == pytest.approx({("right lung", "above"): columns / area**0.5})
        given = codes(judge_masks(maps, lungs, card(), definition="field"))
        assert ("touches_border" in given) is is_cut


def test_much_that_was_cleaned_away_is_doubted() -> None:
    maps, lungs = drawn()
    maps.stored[0, 50:62, 8:30] = 0.8  # 264 px more, of which nothing is left: 264 / 1288 = 0.2
    quality = judge_masks(maps, lungs, card(), definition="field")
    assert codes(quality) == ["much_cleaned"]


def test_the_estimate_is_the_cards_line() -> None:
    # uncertainty = (log(1 - 1.8 / 1.9) + log(0.09)) / 2, a lack of sqrt(0.05263 x 0.09) = 0.06882
    quality = verdict(reference={"estimate": estimate()})
    assert quality.estimated_dice == pytest.approx(1 - 0.0688247, abs=1e-5)
    assert quality.verdict == "ok"
    doubted = verdict(reference={"estimate": estimate(poor=0.95)})
    assert (doubted.verdict, codes(doubted)) == ("review", ["unsure_edges"])
    hopeless = verdict(reference={"estimate": estimate(intercept=9.0)})
    assert hopeless.estimated_dice == 0.0


@pytest.mark.parametrize(
    ("sure", "expected"),
    [
        (0.9, 0.0688),  # sqrt((1 - 1.8 / 1.9) x 0.09) = 0.06882
        (0.6, 0.2449),  # sqrt((1 - 1.2 / 1.6) x 0.24) = 0.24495
        (1.0, 0.0001),  # both are replaced by the least uncertainty
    ],
)
def test_the_uncertainty_needs_no_reference_values(sure: float, expected: float) -> None:
    quality = verdict(sure=sure)
    assert (quality.estimated_dice, quality.uncertainty) == (None, expected)
    assert verdict(sure=sure, reference={"estimate": estimate()}).uncertainty == expected


def test_the_uncertainty_is_at_most_1() -> None:
    # 64 px of lung at 1.0, and 4032 px at 0.49 that are none: 0.2499 x 4032 / 64 = 15.7.
    maps, _ = drawn(slice(0, 0), slice(0, 0))
    maps.stored[0] = 0.49
    right = np.zeros((SIDE, SIDE), bool)
    right[:8, :8] = True
    maps.stored[0][right] = 1.0
    lungs = LungMasks(right, np.zeros_like(right))
    assert judge_masks(maps, lungs, card(), definition="field").uncertainty == 1.0


def test_only_a_film_without_lungs_has_no_uncertainty() -> None:
    assert verdict(slice(0, 0), slice(0, 0)).uncertainty is None
    refused = verdict(reference={"usual": usual(), "estimate": estimate()}, rows=slice(16, 32))
    assert (refused.verdict, refused.estimated_dice) == ("refused", None)
    assert refused.uncertainty == 0.0688


@given(st.floats(0.55, 0.98), st.floats(0.001, 0.01))
def test_the_estimated_dice_rises_with_the_certainty(sure: float, more: float) -> None:
    less, better = (
        verdict(sure=level, reference={"estimate": estimate()}) for level in (sure, sure + more)
    )
    assert less.estimated_dice is not None
    assert better.estimated_dice is not None
    assert less.estimated_dice < better.estimated_dice


def test_far_from_the_usual_is_reviewed_and_very_far_is_refused() -> None:
    reference = {"usual": usual(), "estimate": estimate()}
    assert verdict(reference=reference).verdict == "ok"
    # Half as high: log area and log aspect are off by log 2, 6.9 spreads each: 9.8 in all.
    low = {"rows": slice(16, 32)}
    strange = verdict(reference=reference, **low)
    assert (strange.verdict, codes(strange)) == ("refused", ["not_a_chest_film"])
    assert strange.estimated_dice is None
    unusual = verdict(reference={"usual": usual(strange=20.0)}, **low)
    assert (unusual.verdict, codes(unusual)) == ("review", ["unusual_shape"])
    unsure = verdict(sure=0.6, reference={"usual": usual(unsure=0.2, strange=99.0)})
    assert "not_a_chest_film" in codes(unsure)  # 0.6 x 0.4 = 0.24 a pixel


@pytest.mark.parametrize(
    "wrong",
    [
        {"estimate": estimate(slope=-1.0)},
        {"estimate": estimate(poor=2.0)},
        {"estimate": estimate(intercept=float("nan"))},
        {"estimate": estimate(intercept=10**400)},  # JSON has such numbers, float has not
        {"estimate": {"slope": 1.0}},
        {"estimate": "none"},
    ],
)
def test_a_card_with_invalid_reference_values_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(
        WeightsError,
        match=r"reference values of 'field' on the card cannot be used .*calibrate --write",
    ):
        card(**wrong)


def test_reference_values_of_other_channels_are_refused() -> None:
    one = {"mean": [0.0], "precision": [[1.0]], "unusual": 1, "strange": 2, "unsure": 1}
    with pytest.raises(WeightsError, match=r"are of 1 features, but these weights give 16"):
        card(usual=one)
    with pytest.raises(
        WeightsError, match=r"reference values .* cannot be used .*precision must be 2 x 2"
    ):
        card(usual={**one, "mean": [0.0, 1.0]})


def usual_of(maps: ProbabilityMaps) -> dict[str, Any]:
    numbers = measure_film(maps, ALL).numbers
    assert numbers is not None
    assert len(numbers) == 38  # 16 of each definition, 6 of the heart
    return {
        "mean": numbers.tolist(),
        "precision": (np.eye(38) * 100).tolist(),
        "unusual": 3.0,
        "strange": 9.0,
        "unsure": 0.5,
    }


@pytest.mark.parametrize(
    ("strange", "code"),
    [
        # log(0.0811 / 0.0526) and log(0.1275 / 0.09) are 4.3 and 3.5 spreads: 5.5 together
        (chest(whole_sure=0.85), "unusual_shape"),
        (chest(heart=slice(8, 14)), "unusual_shape"),  # the heart at the side: 0.5 off is 5
        (chest(heart=slice(0, 0)), "unusual_shape"),  # without a heart nothing can be compared
        (chest(heart=slice(0, 64)), "not_a_chest_film"),  # 64 / 48 wide: 1.08 off alone is 10.8
    ],
)
def test_the_verdict_on_the_film_is_the_same_by_each_definition(
    strange: ProbabilityMaps, code: str
) -> None:
    known = Card(
        name="by hand",
        version="0",
        channels=ALL,
        side=SIDE,
        norms={"film": {"usual": usual_of(chest())}},
    )
    for definition in known.definitions:
        for maps, expected in ((chest(), set()), (strange, {code})):
            lungs = clean(maps, ALL, definition=definition)
            quality = judge_masks(maps, replace(lungs, heart=None), known, definition=definition)
            assert set(codes(quality)) == expected
            refused = "refused" if code in REFUSING_CODES else "review"
            assert quality.verdict == (refused if expected else "ok")


def test_reference_values_are_kept_in_the_cards_json() -> None:
    whole = card(estimate=estimate(), usual=usual())
    again = Card.from_json(whole.to_json())
    assert read_reference_values(again.norms, "field") == read_reference_values(
        whole.norms, "field"
    )
    assert read_reference_values(again.norms, "whole").estimate is None


def test_codes_fit_into_dicom() -> None:
    """A CodeValue has at most 16 characters (SH)."""
    assert all(len(code) <= 16 for code in (*DOUBTS, *HEART_DOUBTS))
