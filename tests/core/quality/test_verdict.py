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
from pleura.core.frame import Frame, ProbabilityMaps
from pleura.core.masks.cleanup import clean
from pleura.core.quality.features import expected_dice, measure_features
from pleura.core.quality.film import measure_film
from pleura.core.quality.verdict import DOUBTS, HEART_DOUBTS, REFUSING_CODES, judge
from pleura.core.reference import feature_names, read_reference_values
from pleura.core.types import LungMasks, Quality

SIDE = 64
CHANNELS = ("right_field", "left_field")
KNOWN = len(feature_names(["field"], heart=False))


def card(usual: Any = None, **norms: Any) -> Card:
    on_card = {"field": norms} | ({} if usual is None else {"film": {"usual": usual}})
    return Card(name="by hand", version="0", channels=CHANNELS, side=SIDE, norms=on_card)


def estimate(**changed: float) -> dict[str, float]:
    return {"intercept": 0.0, "slope": 1.0, "poor": 0.9, **changed}


def usual(**changed: Any) -> dict[str, Any]:
    """Around the drawn film's own numbers, with a spread of 0.1 in each."""
    numbers = measure_film(drawn()[0], CHANNELS).numbers
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
    return [doubt.code for doubt in quality.doubts]


def verdict(*drawing: slice, sure: float = 0.9, norms: Any = None, **rows: slice) -> Quality:
    maps, lungs = drawn(*drawing, sure=sure, **rows)
    return judge(maps, lungs, card(**(norms or {})), definition="field")


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


def test_traits_by_hand():
    maps, lungs = drawn()  # 2 lungs of 32 x 16 = 512 px at 0.9 in 4096
    seen = measure_features(maps, lungs, CHANNELS, definition="field")
    assert seen.expected_dice == pytest.approx(2 * 0.9 / 1.9)
    assert seen.worse_lung == pytest.approx(2 * 0.9 / 1.9)
    assert seen.unsure == pytest.approx(0.09)
    assert (seen.right_share, seen.left_share) == (0.125, 0.125)
    assert (seen.cleaned, seen.contacts, seen.exchanged) == (0.0, {}, False)
    film = measure_film(maps, CHANNELS)
    assert film.unsure == pytest.approx(0.09)
    assert film.numbers is not None
    assert film.numbers[14:] == pytest.approx(np.log([1 - 2 * 0.9 / 1.9, 0.09]))
    # Their box is 32 high, 48 wide: each lung a third of it, as high, a third as wide; middles at
    # row 1/2 and columns 8/48 and 40/48; an upright box has no slant.
    assert film.numbers[:14] == pytest.approx(
        [1 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 0, 1 / 3, 1, 1 / 3, 1 / 2, 5 / 6, 0,
         np.log(0.25), np.log(32 / 48)], abs=1e-9
    )  # fmt: skip


@given(st.floats(0.55, 0.99), st.integers(0, 8), st.integers(2, 20))
def test_a_film_upside_down_is_as_well_known(sure: float, top: int, height: int) -> None:
    maps, lungs = drawn(sure=sure, rows=slice(top + 1, top + 1 + height))
    flipped = ProbabilityMaps(maps[:, ::-1]), LungMasks(lungs.right[::-1], lungs.left[::-1])
    one, other = (
        measure_features(*result, CHANNELS, definition="field")
        for result in ((maps, lungs), flipped)
    )
    for name in ("expected_dice", "worse_lung", "unsure", "cleaned", "uncertainty"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6)


@given(st.integers(2, 5))
def test_a_film_of_more_pixels_is_the_same_film(times: int) -> None:
    def scaled(array: np.ndarray) -> np.ndarray:
        return array.repeat(times, axis=-1).repeat(times, axis=-2)

    maps, lungs = drawn()
    large = ProbabilityMaps(scaled(maps.stored)), LungMasks(scaled(lungs.right), scaled(lungs.left))
    one, other = (
        measure_features(*result, CHANNELS, definition="field") for result in ((maps, lungs), large)
    )
    assert other.expected_dice == pytest.approx(one.expected_dice, abs=1e-6)
    assert other.unsure == pytest.approx(one.unsure, abs=1e-6)
    # A sample of 128 pixels of 5 x 64 has its borders off by less than a pixel in 64.
    own, same = (measure_film(film_maps, CHANNELS).numbers for film_maps in (maps, large[0]))
    assert same == pytest.approx(own, abs=0.03)


def drawings() -> Iterator[tuple[list[str], Quality]]:
    near, far = slice(8, 24), slice(40, 56)
    yield [], verdict(near, far)
    yield ["sides_exchanged"], verdict(far, near)
    yield ["one_lung_missing"], verdict(slice(0, 0), far)
    yield ["no_lungs"], verdict(slice(0, 0), slice(0, 0))
    yield ["touches_border"], verdict(slice(0, 16), far)
    yield ["unequal_lungs"], verdict(slice(4, 34), slice(50, 56))


@pytest.mark.parametrize(("expected", "quality"), list(drawings()), ids=lambda item: str(item)[:30])
def test_what_needs_no_norms(expected: list[str], quality: Quality) -> None:
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
    (doubt,) = judge(maps, lungs, card(), definition="field").doubts
    assert doubt.code == "touches_border"
    begin, end = DOUBTS["touches_border"].split(":")
    assert doubt.text == f"{begin} ({contact}):{end}"
    inside = {
        name: slice(at.start + (at.start == 3), at.stop - (at.stop == 61))
        for name, at in place.items()
    }
    assert judge(*drawn(**inside), card(), definition="field").verdict == "ok"


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
        given = codes(judge(maps, lungs, card(), definition="field"))
        assert ("touches_border" in given) is is_cut


def test_much_that_was_cleaned_away_is_doubted() -> None:
    maps, lungs = drawn()
    maps.stored[0, 50:62, 8:30] = 0.8  # 264 px more, of which nothing is left: 264 / 1288 = 0.2
    quality = judge(maps, lungs, card(), definition="field")
    assert codes(quality) == ["much_cleaned"]


def test_the_estimate_is_the_cards_line() -> None:
    # uncertainty = (log(1 - 1.8 / 1.9) + log(0.09)) / 2, a lack of sqrt(0.05263 x 0.09) = 0.06882
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
        verdict(sure=level, norms={"estimate": estimate()}) for level in (sure, sure + more)
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
        {"estimate": estimate(intercept=10**400)},  # JSON has such numbers, float has not
        {"estimate": {"slope": 1.0}},
        {"estimate": "none"},
    ],
)
def test_a_card_whose_norms_are_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(WeightsError, match=r"norms of 'field' cannot be used .*calibrate --write"):
        card(**wrong)


def test_norms_of_other_channels_are_refused() -> None:
    one = {"mean": [0.0], "precision": [[1.0]], "unusual": 1, "strange": 2, "unsure": 1}
    with pytest.raises(WeightsError, match=r"'film' are 1 features, but these weights give 16"):
        card(usual=one)
    with pytest.raises(WeightsError, match=r"norms .* cannot be used .*precision must be 2 x 2"):
        card(usual={**one, "mean": [0.0, 1.0]})


ALL = ("right_field", "left_field", "right_whole", "left_whole", "heart")


def chest(*, whole_sure: float = 0.9, heart: slice = slice(26, 38)) -> ProbabilityMaps:
    """Maps of all five channels: `whole` reaches 4 columns nearer the middle."""
    maps = np.zeros((5, SIDE, SIDE), np.float32)
    maps[:2] = boxes(slice(8, 24), slice(40, 56)) * 0.9
    maps[2:4] = boxes(slice(8, 28), slice(36, 56)) * whole_sure
    maps[4, 30:44, heart] = 0.8
    return ProbabilityMaps(maps)


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


def test_the_features_of_the_heart_by_hand() -> None:
    numbers = measure_film(chest(), ALL).numbers
    assert numbers is not None
    # In the box of the lungs by `field`, rows 16 to 47 and columns 8 to 55: 14 x 12 of 32 x 48 px,
    # its centre at row (37 - 16) / 32 and column (32 - 8) / 48.
    assert numbers[32:] == pytest.approx(
        [168 / 1536, 21 / 32, 1 / 2, 12 / 48, 14 / 32, np.log(0.16)]
    )


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
            quality = judge(maps, replace(lungs, heart=None), known, definition=definition)
            assert set(codes(quality)) == expected
            refused = "refused" if code in REFUSING_CODES else "review"
            assert quality.verdict == (refused if expected else "ok")


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


def of_heart(*made: Any) -> Quality:
    weights = Card(name="by hand", version="0", channels=HEART_CHANNELS, side=SIDE)
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


@pytest.mark.parametrize(("end", "is_doubted"), [(44, False), (47, False), (50, True)])
def test_an_unsure_width_is_a_doubt_about_the_heart_alone(end: int, is_doubted: bool) -> None:
    """Spreads of 0, 3 / 48 = 0.0625 and 6 / 48 = 0.125, around the limit of 0.07."""
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
    no_lungs = slice(40, 40), slice(40, 40)
    quality = of_heart(*with_heart(slice(24, 44), slice(24, 44), of=no_lungs))
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
