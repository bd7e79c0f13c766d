"""Clean-up on drawn lungs: what is kept, what goes, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pleura.core.arrays import CHANNELS, Mask, Probabilities
from pleura.core.errors import UsageError
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.cleanup import check_definition, clean
from pleura.core.types import LungMasks

HEIGHT, WIDTH = 200, 240


def oval(row: float, column: float, tall: float, wide: float) -> Mask:
    """An ellipse by its centre and half axes, in pixels."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((rows - row) / tall) ** 2 + ((columns - column) / wide) ** 2 <= 1


def block(rows: tuple[int, int], columns: tuple[int, int]) -> Mask:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[slice(*rows), slice(*columns)] = True
    return mask


NOTHING = block((0, 0), (0, 0))
RIGHT = oval(100, 70, 70, 35)
LEFT = oval(105, 170, 65, 33)
HEART = oval(130, 125, 30, 25)


def maps(*masks: Mask, inside: float = 0.9, outside: float = 0.1) -> ProbabilityMaps:
    return ProbabilityMaps(np.where(np.stack(masks), inside, outside).astype(np.float32))


def one(mask: Mask) -> LungMasks:
    return clean(maps(mask), ("field",))


def two(right: Mask, left: Mask) -> LungMasks:
    return clean(maps(right, left), ("right_field", "left_field"))


def same(mask: Mask, expected: Mask) -> None:
    np.testing.assert_array_equal(mask, expected)


# One channel for both lungs


def test_the_lung_on_the_viewers_left_is_the_patients_right() -> None:
    lungs = one(RIGHT | LEFT)
    same(lungs.right, RIGHT)
    same(lungs.left, LEFT)
    assert lungs.heart is None
    assert lungs.notes == ()


def test_islands_are_removed_and_counted() -> None:
    islands = block((5, 8), (5, 9)) | block((190, 195), (220, 224))  # 12 + 20 px
    lungs = one(RIGHT | LEFT | islands)
    same(lungs.right | lungs.left, RIGHT | LEFT)
    assert lungs.notes == ("removed 2 islands (32 pixels)",)


def test_holes_are_filled_and_counted() -> None:
    hole = block((90, 94), (60, 65))  # 20 px
    lungs = one((RIGHT | LEFT) & ~hole)
    same(lungs.right, RIGHT)
    assert lungs.notes == ("filled 1 hole of the right lung (20 pixels)",)


def test_the_space_between_two_bridges_is_no_hole() -> None:
    bridges = block((60, 64), (90, 150)) | block((140, 144), (90, 150))
    lungs = one(RIGHT | LEFT | bridges)
    assert not (lungs.right | lungs.left)[100, 120]
    assert len(lungs.notes) == 1


def test_joined_lungs_are_cut_at_the_bridge() -> None:
    bridge = block((100, 106), (90, 150))  # 6 px high
    lungs = one(RIGHT | LEFT | bridge)
    same(lungs.right | lungs.left, RIGHT | LEFT | bridge)
    assert not (lungs.right & LEFT).any()
    assert not (lungs.left & RIGHT).any()
    assert lungs.notes == (
        "the lungs touched in the mask and were separated along a line of 6 pixels",
    )


def test_lungs_joined_along_most_of_their_height_are_cut_apart() -> None:
    lungs = one(RIGHT | LEFT | block((50, 160), (90, 150)))
    assert not (lungs.right & LEFT).any()
    assert not (lungs.left & RIGHT).any()
    assert "separated along a line" in lungs.notes[0]


@pytest.mark.parametrize(("lung", "side"), [(RIGHT, "right"), (LEFT, "left")])
def test_a_single_lung_takes_its_side_from_the_films_middle(lung: Mask, side: str) -> None:
    lungs = one(lung)
    same(getattr(lungs, side), lung)
    same(lungs.left if side == "right" else lungs.right, NOTHING)
    other = "left" if side == "right" else "right"
    assert lungs.notes == (
        f"only one lung was found; from its position it is assumed to be the {side} lung",
        f"the {other} lung was not found",
    )


def test_a_lung_in_two_pieces_is_one_lung() -> None:
    gap = block((110, 120), (0, 120))
    lungs = one((RIGHT & ~gap) | LEFT)
    same(lungs.right, RIGHT & ~gap)
    same(lungs.left, LEFT)
    assert lungs.notes == ()


def test_a_single_lung_in_two_pieces_is_not_two_lungs() -> None:
    gap = block((100, 112), (0, WIDTH))
    lungs = one(RIGHT & ~gap)
    same(lungs.right, RIGHT & ~gap)
    same(lungs.left, NOTHING)


def test_pieces_a_little_askew_are_not_two_lungs() -> None:
    askew = oval(60, 66, 40, 30) | oval(150, 80, 40, 30)  # 14 px askew, each 60 px wide
    lungs = one(askew)
    same(lungs.right, askew)
    same(lungs.left, NOTHING)


def test_a_line_across_the_film_is_not_a_second_lung() -> None:
    line = block((60, 63), (70, 220))  # a catheter: joined to the lung, spans the film
    lungs = one(RIGHT | line)
    same(lungs.right, RIGHT | line)
    same(lungs.left, NOTHING)
    assert "only one lung was found" in lungs.notes[0]


def test_a_small_second_lung_is_a_lung() -> None:
    small = oval(100, 170, 20, 12)  # about a tenth of the right one
    lungs = one(RIGHT | small)
    same(lungs.left, small)
    assert lungs.notes == ()


def test_a_dropped_piece_as_large_as_a_lung_may_be_is_named() -> None:
    # 5% to 15% of its lung, on that lung's side: no second lung, but too large to go unsaid.
    piece = block((180, 195), (150, 190))  # 600 px; the left lung has about 6,700
    lungs = one(RIGHT | LEFT | piece)
    same(lungs.left, LEFT)
    assert lungs.notes == (
        "removed 1 island of the left lung (600 pixels); the largest, of 600 pixels, "
        "may be part of a lung",
    )


def test_air_in_the_films_corner_is_no_lung() -> None:
    air = block((0, 120), (225, WIDTH))  # 1,800 px, a fifth of a lung
    lungs = one(RIGHT | LEFT | air)
    same(lungs.right, RIGHT)
    same(lungs.left, LEFT)
    assert lungs.notes == (
        "left out 1,800 pixels in a corner of the film, as air beside the patient",
    )


def test_a_lung_in_the_corner_of_a_tight_crop_stays() -> None:
    right, left = RIGHT[40:160, 40:], LEFT[40:160, 40:]
    right = right.copy()
    right[-1:, :40] = True  # reaches the lower left corner
    lungs = clean(maps(right | left), ("field",))
    same(lungs.right, right)
    same(lungs.left, left)


def test_an_empty_film_has_one_note() -> None:
    lungs = one(NOTHING)
    same(lungs.right | lungs.left, NOTHING)
    assert lungs.notes == ("no lung was found",)


def test_a_film_that_is_lung_everywhere_does_not_fail() -> None:
    lungs = one(~NOTHING)
    assert not (lungs.right & lungs.left).any()
    assert (lungs.right | lungs.left).all()


def test_the_threshold_belongs_to_the_lung() -> None:
    at, below = np.float32(0.5), np.nextafter(np.float32(0.5), np.float32(0))
    probabilities = np.where(RIGHT | LEFT, at, below).astype(np.float32)[None]
    same(clean(ProbabilityMaps(probabilities), ("field",)).right, RIGHT)


# A channel for each lung


def test_five_channels_as_they_are() -> None:
    behind = block((120, 140), (138, 150))  # lung behind the heart: whole only
    lungs = clean(maps(RIGHT, LEFT, RIGHT, LEFT | behind, HEART), CHANNELS)
    same(lungs.right, RIGHT)
    same(lungs.left, LEFT)
    assert lungs.heart is not None
    same(lungs.heart, HEART)
    assert lungs.notes == ()
    whole = clean(maps(RIGHT, LEFT, RIGHT, LEFT | behind, HEART), CHANNELS, definition="whole")
    same(whole.left, LEFT | behind)


def test_a_pixel_claimed_twice_goes_to_the_likelier_lung() -> None:
    right, left = block((50, 150), (40, 130)), block((50, 150), (110, 200))
    probabilities = maps(right, left)
    of_left = probabilities.stored[1]
    of_left[:, 120:130] = 0.95  # of the 20 columns shared, the last ten are likelier left
    of_left[:50] = of_left[150:] = 0.1
    lungs = clean(probabilities, ("right_field", "left_field"))
    same(lungs.right, block((50, 150), (40, 120)))
    same(lungs.left, block((50, 150), (120, 200)))
    assert lungs.notes == (
        "2,000 pixels above the threshold in both lungs were assigned to the lung with the "
        "higher probability",
    )


def test_islands_and_holes_of_each_lung() -> None:
    lungs = two(
        RIGHT & ~block((90, 94), (60, 65)) | block((5, 7), (5, 7)),
        LEFT | block((5, 7), (200, 203)) | block((190, 192), (200, 203)),
    )
    same(lungs.right, RIGHT)
    same(lungs.left, LEFT)
    assert lungs.notes == (
        "removed 1 island of the right lung (4 pixels)",
        "removed 2 islands of the left lung (12 pixels)",
        "filled 1 hole of the right lung (20 pixels)",
    )


def test_a_stray_goes_to_the_lung_it_touches() -> None:
    stray = LEFT & block((150, 200), (0, WIDTH))  # the foot of the left lung, marked right
    lungs = two(RIGHT | stray, LEFT & ~stray)
    same(lungs.right, RIGHT)
    same(lungs.left, LEFT)
    assert lungs.notes == (
        f"{stray.sum()} pixels marked as right lung touched only the left lung and "
        "were moved to it",
    )


def test_a_large_piece_of_a_lung_stays() -> None:
    gap = block((110, 120), (0, 120))
    lungs = two(RIGHT & ~gap, LEFT)
    same(lungs.right, RIGHT & ~gap)
    assert lungs.notes == ()


def test_swapped_sides_are_believed_and_noted() -> None:
    lungs = two(LEFT, RIGHT)
    same(lungs.right, LEFT)
    same(lungs.left, RIGHT)
    assert lungs.notes == (
        "the right lung lies where the left one is expected: the film may be mirrored, or the "
        "heart may lie on the right",
    )


def test_an_empty_lung_is_noted_and_not_invented() -> None:
    lungs = two(RIGHT, NOTHING)
    same(lungs.left, NOTHING)
    assert lungs.notes == ("the left lung was not found",)


def test_a_lung_inside_a_hole_of_the_other_stays_apart() -> None:
    ring = block((20, 180), (20, 220)) & ~block((60, 140), (80, 180))
    lungs = two(ring, block((80, 120), (100, 160)))
    same(lungs.left, block((80, 120), (100, 160)))
    assert not (lungs.right & lungs.left).any()
    assert lungs.right[70, 90]  # the rest of the hole is filled


def test_the_heart_is_one_piece_without_holes() -> None:
    heart = HEART & ~block((128, 130), (120, 122)) | block((5, 7), (5, 8))
    lungs = clean(maps(RIGHT, LEFT, heart), ("right_field", "left_field", "heart"))
    assert lungs.heart is not None
    same(lungs.heart, HEART)
    assert lungs.notes == (
        "removed 1 island of the heart (6 pixels)",
        "filled 1 hole of the heart (4 pixels)",
    )


def test_a_large_island_of_the_heart_is_not_called_a_lung() -> None:
    island = block((10, 30), (120, 150))  # 600 px
    lungs = clean(maps(RIGHT, LEFT, HEART | island), ("right_field", "left_field", "heart"))
    same(lungs.heart, HEART)
    assert lungs.notes == (
        "removed 1 island of the heart (600 pixels); the largest, of 600 pixels, may be part of "
        "the heart",
    )


def test_a_heart_channel_without_a_heart() -> None:
    lungs = clean(maps(RIGHT | LEFT, NOTHING), ("field", "heart"))
    assert lungs.heart is not None
    same(lungs.heart, NOTHING)
    assert lungs.notes == ("no heart was found",)


# Whatever comes


@given(arrays(np.float32, (3, 12, 14), elements=st.floats(0, 1, width=32)))
def test_lungs_never_overlap_whatever_comes(probabilities: Probabilities) -> None:
    for channels in (("right_field", "left_field", "heart"), ("field", "whole", "heart")):
        lungs = clean(ProbabilityMaps(probabilities), channels)
        assert lungs.right.shape == lungs.left.shape == (12, 14)
        assert lungs.right.dtype == np.bool_
        assert not (lungs.right & lungs.left).any()


@given(arrays(np.bool_, (16, 18)))
def test_clean_up_is_idempotent(mask: Mask) -> None:
    once = clean(maps(mask), ("field",))
    again = clean(maps(once.right, once.left), ("right_field", "left_field"))
    same(again.right, once.right)
    same(again.left, once.left)


def test_the_input_is_left_as_it_was() -> None:
    probabilities = maps(RIGHT | HEART, LEFT | HEART)
    before = probabilities.stored.copy()
    clean(probabilities, ("right_field", "left_field"))
    same(probabilities.stored, before)


# Definitions


def test_a_definition_that_the_weights_lack_names_those_they_have() -> None:
    with pytest.raises(UsageError, match="definition 'field', not 'whole'; ask for 'field'"):
        clean(maps(RIGHT), ("field",), definition="whole")
    with pytest.raises(UsageError, match="ask for 'whole'"):
        check_definition(("right_whole", "left_whole", "heart"), "field")


def test_an_unknown_definition_is_refused() -> None:
    with pytest.raises(UsageError, match="must be field or whole, got 'lung'"):
        check_definition(CHANNELS, "lung")  # type: ignore[arg-type]


def test_two_channels_are_taken_before_one() -> None:
    channels = ("field", "right_field", "left_field")
    assert check_definition(channels, "field") == ("right_field", "left_field")


def test_maps_and_names_must_agree() -> None:
    with pytest.raises(ValueError, match="2 channels named for 1"):
        clean(maps(RIGHT), ("field", "heart"))
