"""The verdict on the heart and on the cardiothoracic ratio."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.core.quality.drawn import CHANNELS, SIDE, card, codes, drawn, verdict

from pleura.core.card import Card
from pleura.core.frame import ProbabilityMaps
from pleura.core.quality.features import measure_features
from pleura.core.quality.verdict import judge_masks
from pleura.core.types import LungMasks, Quality


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
    assert seen.heart_offset == pytest.approx(expected)
    quality = judge_masks(maps, lungs, card(), definition="field")
    assert ("heart_on_right" in codes(quality)) is is_doubted
    assert quality.verdict == ("review" if is_doubted else "ok")


def test_without_a_heart_its_side_is_no_doubt() -> None:
    maps, lungs = drawn()
    assert measure_features(maps, lungs, CHANNELS, definition="field").heart_offset is None
    assert "heart_on_right" not in codes(judge_masks(maps, lungs, card(), definition="field"))


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
    return judge_masks(*made, weights, definition="field")


def test_the_range_of_the_ratio_by_hand() -> None:
    """The chest is columns 8 to 55, 48 px. At 0.8 the heart has 20 columns, at 0.2 it has 26."""
    maps, lungs = with_heart(slice(24, 44), slice(24, 44), unsure=slice(44, 50))
    seen = measure_features(maps, lungs, HEART_CHANNELS, definition="field")
    assert seen.heart_found is True
    assert seen.ratio_range == pytest.approx(6 / 48)
    sure = measure_features(
        *with_heart(slice(24, 44), slice(24, 44)), HEART_CHANNELS, definition="field"
    )
    assert sure.ratio_range == 0


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
