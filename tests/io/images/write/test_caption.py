"""The caption below an overlay, which covers nothing of the film."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.measure import measure
from pleura.core.masks.overlay import BAR_BACKGROUND, HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Doubt, LungMasks, Quality, Radiograph, Segmentation
from pleura.io.images.write.caption import captioned
from pleura.io.images.write.overlay import marked_overlay, overlay_image

DOUBT = Doubt("touches_border", "A lung reaches the edge of the film: check that none is cut.")
REVIEW, REFUSED = Quality("review", 0.8, (DOUBT,)), Quality("refused", None, (DOUBT,))
YELLOW, WHITE = (0xF0, 0xE4, 0x42), (255, 255, 255)


def result(height: int, width: int, *, heart: bool = True, **changed: Any) -> Segmentation:
    """Lungs of a fifth of the width, from 20% and 60% on; a heart of a fifth between."""
    masks = {name: np.zeros((height, width), bool) for name in ("right", "left", "heart")}
    tall = slice(height // 5, height * 4 // 5)
    for name, begin in (("right", 2), ("left", 6), ("heart", 4)):
        masks[name][tall, width * begin // 10 : width * (begin + 2) // 10] = True
    masks["heart"] &= heart
    segmentation = Segmentation(
        radiograph=Radiograph(np.full((height, width), 9, np.float32), None, "PA", ()),
        lungs=LungMasks(**masks),
        probabilities=ProbabilityMaps(np.stack(list(masks.values())).astype(np.float32)),
        channels=("right_field", "left_field", "heart"),
        measurements=measure(**masks),
        provenance=None,  # type: ignore[arg-type]  # nobody asks
        quality=Quality("ok", 0.97),
    )
    return replace(segmentation, **changed)


def without_heart(segmentation: Segmentation) -> Segmentation:
    return replace(segmentation, lungs=replace(segmentation.lungs, heart=None))


def rows_below(segmentation: Segmentation) -> np.ndarray[Any, Any]:
    """(h, w, 3): what was added; the film's rows are those of the plain overlay."""
    picture, plain = (
        np.asarray(marked_overlay(segmentation)),
        np.asarray(overlay_image(segmentation)),
    )
    height, width = segmentation.radiograph.size
    assert plain.shape == (height, width, 3)
    assert picture.shape[1:] == plain.shape[1:]
    np.testing.assert_array_equal(picture[:height], plain)
    return picture[height:]


def has(rows: np.ndarray[Any, Any], colour: tuple[int, int, int]) -> bool:
    return bool((rows == colour).all(axis=-1).any())


@pytest.mark.parametrize("size", [(224, 224), (640, 512), (4000, 3600), (128, 100), (90, 1500)])
@pytest.mark.parametrize("quality", [Quality("ok", 0.97), REVIEW, REFUSED])
def test_the_caption_covers_no_film_and_names_all_colours(
    size: tuple[int, int], quality: Quality
) -> None:
    rows = rows_below(result(*size, quality=quality))
    for colour in (RIGHT_COLOUR, LEFT_COLOUR, HEART_COLOUR, WHITE, BAR_BACKGROUND):
        assert has(rows, colour), colour
    assert has(rows, YELLOW) == (quality.verdict != "ok")
    assert not has(rows[-1:], WHITE)  # no letter is cut off below
    assert not has(rows[:, -1:], WHITE)  # nor at the side


@pytest.mark.parametrize(("side", "letters"), [(224, 12), (512, 12), (2000, 44), (4000, 89)])
def test_letters_are_readable_on_small_and_large_films(side: int, letters: int) -> None:
    """A 45th of the film's width, and 12 px at least; a line is 1.4 of that, 0.6 are the edges."""
    lines = 2 if side == 224 else 1  # the entry of the ratio goes onto a line of its own
    rows = rows_below(result(side, side))
    assert len(rows) == pytest.approx((1.4 * lines + 0.7) * letters, abs=2)
    written = np.flatnonzero((rows > 150).any(axis=(1, 2)))
    assert (1.4 * lines - 0.9) * letters < written[-1] - written[0] < 1.4 * lines * letters


def test_a_structure_that_is_not_drawn_is_not_named() -> None:
    without = rows_below(result(512, 512, heart=False))
    assert not has(without, HEART_COLOUR)
    assert not has(without, BAR_BACKGROUND)
    assert has(without, RIGHT_COLOUR)
    assert has(without, LEFT_COLOUR)
    lungs_alone = rows_below(without_heart(result(512, 512, heart=False)))
    np.testing.assert_array_equal(lungs_alone, without)


def test_the_ratio_in_the_caption_is_the_measured_one() -> None:
    """Two ratios, two pictures; those of equal ratios are equal, whatever the film."""
    one, other = result(500, 500), result(500, 500)
    assert one.measurements.cardiothoracic_ratio == pytest.approx(1 / 3)
    measured = replace(other.measurements, cardiothoracic_ratio=0.48)
    assert (rows_below(one) != rows_below(replace(other, measurements=measured))).any()
    again = replace(other.measurements, cardiothoracic_ratio=0.3349)  # 0.33, too
    same = result(500, 500, measurements=again)
    np.testing.assert_array_equal(rows_below(one), rows_below(same))


def test_each_doubt_adds_lines_to_the_caption() -> None:
    heights = [
        len(rows_below(result(1000, 1000, quality=Quality("review", 0.8, (DOUBT,) * n))))
        for n in range(4)
    ]
    steps = np.diff(heights)
    assert steps.min() > 20  # a line of 22 px letters
    assert np.ptp(steps) <= 1


def test_on_the_smallest_films_words_are_cut() -> None:
    rows = rows_below(result(32, 32, quality=REFUSED))
    assert (rows.max(axis=-1) > 150).any(axis=1).sum() > 100  # many lines of few letters


def test_any_picture_can_be_captioned() -> None:
    picture = Image.new("RGB", (512, 512), (1, 2, 3))
    made = captioned(picture, result(512, 512))
    assert made.size[0] == 512
    assert made.getpixel((511, 511)) == (1, 2, 3)
