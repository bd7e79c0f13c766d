"""Films that are shifted, scaled, turned and mirrored with their masks."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.train.augment.drawing import (
    CHANNELS,
    EVERYTHING,
    LUNGS,
    SIDE,
    disc,
    drawing,
    drawn,
    generator,
)
from torch import Tensor

from pleura.lab.train.augment import Sample, Variation, draw, vary
from pleura.lab.train.augment.placement import Placement
from pleura.lab.train.recipe import Augment


def centroid(mask: Tensor) -> tuple[float, float]:
    rows, columns = torch.nonzero(mask >= 0.5, as_tuple=True)
    return rows.double().mean().item(), columns.double().mean().item()


def placed(**values: Any) -> Variation:
    return Variation((Placement(**values),))


@given(st.integers(0, 2**31))
def test_padding_keeps_the_whole_film_inside(seed: int) -> None:
    # Borders a, b of the film's side make it 1 / (1 + a + b) as tall, and shift its middle by
    # (a - b) / 2 of that: its upper edge lies at a / (1 + a + b), its lower one b / (1 + a + b)
    # above the square's.
    placed = drawn(draw(Augment(padding=0.3), generator(seed)), Placement)
    for shift, scale in zip(placed.shift, placed.scale, strict=True):
        upper, lower = 0.5 + shift - scale / 2, 0.5 + shift + scale / 2
        assert upper >= -1e-9
        assert lower <= 1 + 1e-9
        assert 1 / 1.6 - 1e-9 <= scale <= 1
        assert upper <= 0.3


@given(st.integers(0, 2**31))
def test_a_change_of_aspect_keeps_the_area(seed: int) -> None:
    tall, wide = drawn(draw(Augment(aspect=0.5), generator(seed)), Placement).scale
    assert tall * wide == pytest.approx(1)
    assert 1 / 1.5 - 1e-9 <= tall / wide <= 1.5 + 1e-9


@pytest.mark.parametrize(("down", "right"), [(8, 0), (0, -5), (-3, 7)])
def test_a_shift_moves_by_whole_pixels_and_uncovers_a_border_that_is_no_lung(
    down: int, right: int
) -> None:
    sample = drawing()
    moved = vary(sample, placed(shift=(down / SIDE, right / SIDE)), CHANNELS)
    rows = slice(max(down, 0), SIDE + min(down, 0))
    columns = slice(max(right, 0), SIDE + min(right, 0))
    from_rows = slice(max(-down, 0), SIDE + min(-down, 0))
    from_columns = slice(max(-right, 0), SIDE + min(-right, 0))
    uncovered = torch.ones(SIDE, SIDE, dtype=torch.bool)
    uncovered[rows, columns] = False
    for name, border in (("image", 0.0), ("target", 0.0), ("weight", 1.0)):
        before, after = getattr(sample, name), getattr(moved, name)
        torch.testing.assert_close(
            after[:, rows, columns], before[:, from_rows, from_columns], rtol=0, atol=1e-5
        )
        assert after[:, uncovered].eq(border).all()


def test_a_smaller_film_stands_in_the_middle_of_a_border_that_is_known_to_be_no_lung() -> None:
    sample = Sample(torch.ones(1, 64, 64), torch.ones(1, 64, 64), torch.zeros(1, 64, 64))
    half = vary(sample, placed(scale=(0.5, 1.0)), ("field",))
    # Half as tall: rows 16 to 47 show the film, of which nothing is known; the rest is border.
    assert half.image[0, 17:47].allclose(torch.ones(()))
    assert half.image[0, :15].eq(0).all()
    assert half.image[0, 49:].eq(0).all()
    assert half.weight[0, :15].eq(1).all()
    assert half.weight[0, 17:47].eq(0).all()
    assert half.target[0, :15].eq(0).all()


def test_a_turn_is_clockwise_on_the_screen_by_its_degrees() -> None:
    middle = (SIDE - 1) / 2
    sample = Sample(
        disc(middle, middle + 20, 4)[None],
        disc(middle, middle + 20, 4)[None],
        torch.ones(1, 64, 64),
    )
    for degrees in (90.0, 30.0):
        turned = vary(sample, placed(rotation_deg=degrees), ("field",))
        turn = math.radians(degrees)
        row, column = centroid(turned.target[0])
        assert row - middle == pytest.approx(20 * math.sin(turn), abs=0.3)
        assert column - middle == pytest.approx(20 * math.cos(turn), abs=0.3)


def test_flipping_mirrors_the_film_and_lets_right_and_left_change_places() -> None:
    sample = drawing()
    flipped = vary(sample, placed(flip=True), CHANNELS)
    torch.testing.assert_close(flipped.image, sample.image.flip(-1), rtol=0, atol=1e-5)
    assert torch.equal(flipped.target[0], sample.target[1].flip(-1))
    assert torch.equal(flipped.target[1], sample.target[0].flip(-1))
    assert torch.equal(flipped.weight, sample.weight)
    # So the right lung still lies on the viewer's left.
    assert centroid(flipped.target[0])[1] < centroid(flipped.target[1])[1]


def test_flipping_also_flips_unknown_pixels() -> None:
    sample = drawing()
    sample.weight[0, :, :10] = 0
    flipped = vary(sample, placed(flip=True), CHANNELS)
    assert torch.equal(flipped.weight[1], sample.weight[0].flip(-1))
    assert torch.equal(flipped.weight[0], sample.weight[1])


def test_a_lung_whose_partner_is_no_channel_is_unknown_in_a_mirrored_film() -> None:
    sample = drawing()
    alone = Sample(sample.image, sample.target[:1], sample.weight[:1])
    flipped = vary(alone, placed(flip=True), ("right_field",))
    assert flipped.weight.eq(0).all()
    assert alone.weight.eq(1).all(), "the original is left alone"


def test_flipping_twice_gives_the_same_film() -> None:
    sample = drawing()
    flip = placed(flip=True)
    twice = vary(vary(sample, flip, CHANNELS), flip, CHANNELS)
    torch.testing.assert_close(twice.image, sample.image, rtol=0, atol=1e-5)
    assert torch.equal(twice.target, sample.target)
    assert torch.equal(twice.weight, sample.weight)


@settings(max_examples=20)
@given(st.floats(-180, 180), st.floats(0.8, 1.25), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_a_turn_and_its_inverse_restore_the_film(
    degrees: float, zoom: float, down: float, right: float
) -> None:
    sample = drawing(96)
    there = vary(sample, placed(rotation_deg=degrees, scale=(zoom, zoom)), CHANNELS)
    back = vary(there, placed(rotation_deg=-degrees, scale=(1 / zoom, 1 / zoom)), CHANNELS)
    inside = disc(47.5, 47.5, 32, 96).bool()  # what neither turn moves out of the square
    changed = (back.target[:2, inside] != sample.target[:2, inside]).float().mean()
    assert changed < 0.03
    moved = vary(
        vary(sample, placed(shift=(down, right)), CHANNELS),
        placed(shift=(-down, -right)),
        CHANNELS,
    )
    inner = slice(12, 84)
    difference = (moved.image - sample.image)[:, inner, inner].abs().mean()
    assert difference < 0.02


@settings(max_examples=60)
@given(st.integers(0, 2**31))
def test_masks_follow_the_film(seed: int) -> None:
    chances = [option.name for option in fields(Augment) if option.name.endswith("_chance")]
    still = dict.fromkeys(chances, 0.0) | {"noise": 0.0, "flip_chance": 0.5}
    augment = replace(EVERYTHING, **still)
    lung = disc(34, 27, 9)
    sample = Sample(lung[None], torch.stack([lung, torch.zeros_like(lung)]), torch.ones(2, 64, 64))
    placement = drawn(draw(augment, generator(seed)), Placement)
    varied = vary(sample, Variation((placement,)), LUNGS)
    side = 1 if placement.flip else 0
    assert varied.target[1 - side].eq(0).all()
    shown, in_target = centroid(varied.image[0]), centroid(varied.target[side])
    assert math.dist(shown, in_target) < 0.1
    assert varied.weight.eq(1).all()
