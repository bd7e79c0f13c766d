"""Chance apart from effect: the same variation gives the same film, and masks follow the film."""

from __future__ import annotations

import hashlib
import math
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pleura.lab.train.augment import Sample, Variation, draw, vary
from pleura.lab.train.augment.artefacts import Invert, Jpeg, Letters
from pleura.lab.train.augment.effect import Effect
from pleura.lab.train.augment.greys import Blur, Coarse, Contrast, Gamma, Noise, Tone
from pleura.lab.train.augment.occlusion import Line, Lines, Opacity, Patch
from pleura.lab.train.augment.placement import Placement
from pleura.lab.train.augment.variation import (
    AFTER_CLIPPING,
    BEFORE_CLIPPING,
    EFFECTS,
    GENTLE_FACTOR,
)
from pleura.lab.train.recipe import Augment

Kind = TypeVar("Kind", bound=Effect)

SIDE = 64
LUNGS = ("right_field", "left_field")

EVERYTHING = Augment(
    shift=0.1,
    zoom=0.2,
    padding=0.1,
    rotation_deg=15,
    aspect=0.3,
    flip_chance=0.5,
    gamma=0.5,
    contrast=0.3,
    noise=0.05,
    blur_px=1.5,
    invert_chance=0.5,
    occlusion_chance=0.5,
    text_chance=0.5,
    jpeg_chance=0.5,
    opaque_chance=0.5,
    line_chance=0.5,
    coarse_chance=0.5,
)


def disc(row: float, column: float, radius: float, side: int = SIDE) -> Tensor:
    """(side, side), 1 inside a disc; a pixel's centre lies at its index."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).float()


def drawing(side: int = SIDE) -> Sample:
    """Two lungs of unlike size and a ramp over all of it; the heart is not labelled."""
    scale = side / 64
    right, left = (
        disc(30 * scale, 20 * scale, 10 * scale, side),
        disc(36 * scale, 44 * scale, 7 * scale, side),
    )
    ramp = torch.linspace(0.1, 0.4, side).expand(side, side)
    image = (ramp + 0.5 * (right + left))[None]
    target = torch.stack([right, left, torch.zeros_like(right)])
    weight = torch.ones_like(target)
    weight[2] = 0
    return Sample(image, target, weight)


CHANNELS = (*LUNGS, "heart")


def centroid(mask: Tensor) -> tuple[float, float]:
    rows, columns = torch.nonzero(mask >= 0.5, as_tuple=True)
    return rows.double().mean().item(), columns.double().mean().item()


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(variation: Variation, kind: type[Kind]) -> Kind:
    """The effect of that class, which is there."""
    effect = variation.get(kind)
    assert effect is not None
    return effect


def placed(**values: Any) -> Variation:
    return Variation((Placement(**values),))


# --- chance ---------------------------------------------------------------------------------


def test_drawing_is_the_same_for_the_same_seed_and_other_for_another() -> None:
    same = [draw(EVERYTHING, generator(1)) for _ in range(2)]
    assert same[0] == same[1]
    assert draw(EVERYTHING, generator(2)) != same[0]


def test_every_effect_is_applied_once() -> None:
    assert sorted((*BEFORE_CLIPPING, *AFTER_CLIPPING)) == sorted(EFFECTS)


def test_an_effect_is_applied_whatever_the_order_in_which_it_is_given() -> None:
    both = (Invert(), Contrast(offset=0.1))
    one, other = (
        vary(drawing(), Variation(effects), CHANNELS).image for effects in (both, both[::-1])
    )
    assert torch.equal(one, other)


@given(st.integers(0, 2**31))
def test_an_augmentation_of_zeros_changes_nothing(seed: int) -> None:
    variation = draw(Augment(), generator(seed))
    assert variation == Variation()
    sample = drawing()
    varied = vary(sample, variation, CHANNELS)
    for name in ("image", "target", "weight"):
        assert torch.equal(getattr(varied, name), getattr(sample, name))


@pytest.mark.parametrize(
    "field", [option.name for option in fields(Augment) if option.name != "gentle_chance"]
)
def test_every_setting_has_an_effect_of_its_own(field: str) -> None:
    most = {"rotation_deg": 20.0, "blur_px": 2.0, "gamma": 1.0}.get(field, 0.5)
    augment = Augment(**{field: 1.0 if field.endswith("_chance") else most})
    sample = drawing()
    varied = vary(sample, draw(augment, generator(3)), CHANNELS)
    assert not torch.equal(varied.image, sample.image)
    moving = field in ("shift", "zoom", "padding", "rotation_deg", "aspect", "flip_chance")
    assert torch.equal(varied.target, sample.target) != moving
    if not moving:
        assert torch.equal(varied.weight, sample.weight)


@given(st.integers(0, 2**31))
def test_what_is_drawn_keeps_to_its_limits(seed: int) -> None:
    augment = Augment(shift=0.1, rotation_deg=15, gamma=0.5, contrast=0.3, noise=0.05, blur_px=2)
    variation = draw(augment, generator(seed))
    placement, contrast = drawn(variation, Placement), drawn(variation, Contrast)
    assert all(abs(share) <= 0.1 for share in placement.shift)
    assert abs(placement.rotation_deg) <= 15
    assert 1 / 1.5 - 1e-9 <= drawn(variation, Gamma).gamma <= 1.5 + 1e-9
    assert 0.7 <= contrast.gain <= 1.3
    assert abs(contrast.offset) <= 0.15
    assert 0 <= drawn(variation, Noise).deviation <= 0.05
    assert 0 <= drawn(variation, Blur).sigma_px <= 2
    assert len(variation.effects) == 5, "nothing that has a chance"


@given(st.integers(0, 2**31))
def test_a_film_shown_gently_moves_little_and_is_neither_mirrored_nor_painted(seed: int) -> None:
    seen = draw(replace(EVERYTHING, gentle_chance=1.0), generator(seed))
    placement = drawn(seen, Placement)
    assert abs(placement.rotation_deg) <= GENTLE_FACTOR * EVERYTHING.rotation_deg
    assert not placement.flip
    assert abs(drawn(seen, Contrast).gain - 1) <= GENTLE_FACTOR * EVERYTHING.contrast
    assert drawn(seen, Noise).deviation <= GENTLE_FACTOR * EVERYTHING.noise
    assert {type(effect) for effect in seen.effects} == {Placement, Gamma, Contrast, Noise, Blur}


def test_so_many_films_are_shown_gently_as_the_chance_says() -> None:
    often = replace(EVERYTHING, gentle_chance=0.6, flip_chance=1.0)
    mirrored = sum(drawn(draw(often, generator(seed)), Placement).flip for seed in range(500))
    assert 160 <= mirrored <= 240  # 200 expected, 11 standard deviation


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


DRAWN = "e14d48c3e5814508d4ea2404cf7db26f02ef06555b4992f85b2ae03258a04773"
"""SHA-256 of the generator's states after 100 draws."""

SHOWN = (
    (0.5756, 0.1461, 182, 386),
    (0.7579, 0.2608, 239, 110),
    (0.7224, 0.1948, 152, 318),
    (0.3095, 0.1824, 291, 138),
    (0.6598, 0.2258, 111, 234),
    (0.3074, 0.2586, 112, 245),
    (0.4476, 0.2783, 289, 136),
    (0.3271, 0.1673, 162, 338),
    (0.4086, 0.176, 102, 219),
    (0.4958, 0.2317, 168, 350),
    (0.7597, 0.2162, 94, 197),
    (0.273, 0.1703, 337, 158),
)
"""Mean and spread of the image, pixels of the right and of the left lung, for seeds 0, 1, ..."""


def test_a_recipe_gives_the_samples_that_it_always_gave() -> None:
    """The order of the draws is part of what a recipe means: no change may alter it.

    The numbers drawn are the same on every machine, so a digest of the generator holds them. Grey
    values differ in the last bits from one processor to another, and are compared by figures.
    """
    augment = replace(EVERYTHING, gentle_chance=0.2)
    digest = hashlib.sha256()
    for seed in range(100):
        rng = generator(seed)
        draw(augment, rng)
        digest.update(str(rng.bit_generator.state).encode())
    assert digest.hexdigest() == DRAWN
    for seed, (mean, spread, right, left) in enumerate(SHOWN):
        sample = vary(drawing(), draw(augment, generator(seed)), CHANNELS)
        assert float(sample.image.mean()) == pytest.approx(mean, abs=1e-3)
        assert float(sample.image.std()) == pytest.approx(spread, abs=1e-3)
        assert float(sample.target[0].sum()) == pytest.approx(right, abs=2)
        assert float(sample.target[1].sum()) == pytest.approx(left, abs=2)


# --- effect on place ------------------------------------------------------------------------


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


# --- effect on greys ------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 2**31))
def test_any_variation_leaves_valid_tensors_and_the_original_alone(seed: int) -> None:
    sample = drawing()
    variation = draw(EVERYTHING, generator(seed))
    varied = vary(sample, variation, CHANNELS)
    again = vary(sample, variation, CHANNELS)
    assert varied.image.shape == (1, SIDE, SIDE)
    assert type(varied.image) is Tensor
    assert varied.image.dtype == varied.target.dtype == varied.weight.dtype == torch.float32
    assert varied.image.min() >= 0
    assert varied.image.max() <= 1
    assert set(varied.target.unique().tolist()) <= {0.0, 1.0}
    assert set(varied.weight.unique().tolist()) <= {0.0, 1.0}
    for name in ("image", "target", "weight"):
        assert torch.equal(getattr(varied, name), getattr(again, name))
        assert torch.equal(getattr(sample, name), getattr(drawing(), name))


def shaded(image: Tensor, effect: Effect) -> Tensor:
    nothing = torch.zeros(1, *image.shape[1:])
    sample = Sample(image, nothing, nothing)
    return vary(sample, Variation((effect,)), ("field",)).image


RAMP = torch.linspace(0, 1, 64).view(1, 8, 8).repeat_interleave(4, 1).repeat_interleave(4, 2)


def test_greys_change_by_the_numbers() -> None:
    grey = torch.full((1, 8, 8), 0.25)
    assert shaded(grey, Contrast(gain=1.2)).allclose(torch.tensor(0.2))  # 0.5 - 0.25 x 1.2
    assert shaded(grey, Contrast(offset=0.1)).allclose(torch.tensor(0.35))
    assert shaded(grey, Contrast(offset=-0.5)).eq(0).all()
    assert shaded(grey, Invert()).allclose(torch.tensor(0.75))
    # The ramp spans [0, 1], so gamma 2 squares it.
    torch.testing.assert_close(shaded(RAMP, Gamma(2.0)), RAMP**2, rtol=0, atol=1e-5)


def test_noise_has_its_spread_and_its_seed() -> None:
    grey = torch.full((1, 128, 128), 0.5)
    noisy = shaded(grey, Noise(0.05, seed=7))
    assert (noisy - grey).std().item() == pytest.approx(0.05, rel=0.05)
    assert torch.equal(noisy, shaded(grey, Noise(0.05, seed=7)))
    assert not torch.equal(noisy, shaded(grey, Noise(0.05, seed=8)))


def test_a_blur_spreads_a_point_and_darkens_no_rim() -> None:
    grey = torch.full((1, 32, 32), 0.5)
    torch.testing.assert_close(shaded(grey, Blur(3.0)), grey, rtol=0, atol=1e-4)
    point = torch.zeros(1, 33, 33)
    point[0, 16, 16] = 1
    spread = shaded(point, Blur(1.0))
    assert spread.sum().item() == pytest.approx(1, abs=1e-3)
    # The middle of a Gaussian of one pixel, integrated over that pixel: erf(0.5 / sqrt 2) squared.
    assert spread[0, 16, 16].item() == pytest.approx(math.erf(0.5 / math.sqrt(2)) ** 2, abs=2e-3)


def test_a_patch_is_painted_only_at_its_place() -> None:
    dark = torch.zeros(1, 64, 64)
    shown = shaded(dark, Patch(row=0.25, column=0.75, height=0.25, width=0.25, level=0.8))
    # cover is 0.9 in its middle, (16, 48): 0.9 x 0.8.
    assert shown[0, 16, 48].item() == pytest.approx(0.72, abs=1e-3)
    assert shown[0, 40:].max() < 1e-3
    assert shown[0, :, :24].max() < 1e-3


def test_letters_are_burnt_in_at_their_place() -> None:
    grey = torch.full((1, 64, 64), 0.5)
    shown = shaded(grey, Letters(text="L", row=0.5, column=0.5, size=0.3, level=1.0))
    changed = torch.nonzero((shown - grey)[0].abs() > 0.1)
    assert 10 < len(changed) < 400
    assert changed.min() >= 32
    assert shown.max() == 1


def test_compression_leaves_a_film_alike_but_not_equal() -> None:
    generator = torch.Generator().manual_seed(0)
    rough = (RAMP + 0.1 * torch.rand(RAMP.shape, generator=generator)).clamp(0, 1)
    shown = shaded(rough, Jpeg(20))
    assert 1e-3 < (shown - rough).abs().mean() < 0.1


def test_one_lung_goes_white_and_the_other_stays() -> None:
    sample = drawing()
    sick = Opacity(left=True, top=0.0, cover=1.0, level=0.9)
    shown = vary(sample, Variation((sick,)), CHANNELS)
    assert shown.image[0, 36, 44] == pytest.approx(0.9, abs=0.01)
    assert shown.image[0, 30, 20] == sample.image[0, 30, 20]
    assert torch.equal(shown.target, sample.target)


def test_an_effusion_fills_a_lung_from_below() -> None:
    sample = drawing()
    sick = Opacity(left=False, top=0.5, cover=1.0, level=0.95)
    shown = vary(sample, Variation((sick,)), CHANNELS)
    assert shown.image[0, 37, 20] > 0.9
    assert shown.image[0, 22, 20] == pytest.approx(float(sample.image[0, 22, 20]), abs=0.02)


def test_a_lung_that_is_not_labelled_is_not_painted() -> None:
    sample = drawing()
    sick = Opacity(left=True, top=0.0, cover=1.0, level=0.9)
    only_right = Sample(sample.image, sample.target[:1], sample.weight[:1])
    assert torch.equal(vary(only_right, Variation((sick,)), CHANNELS[:1]).image, sample.image)


def test_a_line_is_drawn_along_its_points() -> None:
    sample = drawing()
    straight = Line(((0.1, 0.5), (0.5, 0.5), (0.9, 0.5)), width=0.05, level=1.0)
    shown = vary(sample, Variation((Lines((straight,)),)), CHANNELS)
    # 0.8 of the line over 0.2 of what was there.
    expected = 0.8 + 0.2 * float(sample.image[0, 10, 32])
    assert shown.image[0, 10, 32] == pytest.approx(expected, abs=0.01)
    assert torch.equal(shown.image[0, :, :28], sample.image[0, :, :28])


def test_a_coarse_film_has_lost_its_detail_but_not_its_mean() -> None:
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    chequers = ((rows + columns) % 2).float()[None]
    sample = Sample(chequers, torch.zeros(1, SIDE, SIDE), torch.ones(1, SIDE, SIDE))
    shown = vary(sample, Variation((Coarse(0.25),)), ("field",))
    assert float(shown.image.std()) < 0.1 < float(chequers.std())
    assert float(shown.image.mean()) == pytest.approx(0.5, abs=0.01)


def test_a_tone_curve_rises_and_keeps_black_and_white() -> None:
    """Knots at fifths of the scale; half way between two of them the curve is half way too."""
    image = torch.tensor([[[0.0, 0.2, 0.3, 1.0]]])
    sample = Sample(image, torch.zeros(1, 1, 4), torch.ones(1, 1, 4))
    curve = Tone((0.1, 0.5, 0.6, 0.9, 1.0))
    shown = vary(sample, Variation((curve,)), ("field",)).image
    assert shown.flatten().tolist() == pytest.approx([0.0, 0.1, 0.3, 1.0])


def test_drawn_tone_curves_rise_from_one_stretch_to_the_next() -> None:
    for seed in range(50):
        tone = Tone.draw(Augment(tone=3.0), np.random.default_rng(seed))
        assert tone is not None
        steps = np.diff((0.0, *tone.ends))
        assert tone.ends[-1] == pytest.approx(1.0)
        assert steps.min() > 0
        assert steps.max() / steps.min() <= 16 + 1e-6  # slopes from 1/4 to 4


def test_a_resized_sample_keeps_its_known_pixels() -> None:
    """2 x 2 px become one: the mean grey, the majority, known only where all four were."""
    image = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    target = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    known = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    small = Sample(image, target, torch.ones_like(known)).at_side(1)
    assert (small.image.item(), small.target.item(), small.weight.item()) == (0.5, 1.0, 1.0)
    assert Sample(image, target, known).at_side(1).weight.item() == 0.0
