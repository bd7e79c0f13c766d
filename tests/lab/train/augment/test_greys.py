"""Effects on grey values: tone, blur, noise, letters, patches and lines."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.lab.train.augment.drawing import CHANNELS, SIDE, drawing
from torch import Tensor

from pleura.lab.train.augment import Sample, Variation, vary
from pleura.lab.train.augment.artefacts import Invert, Jpeg, Letters
from pleura.lab.train.augment.effect import Effect
from pleura.lab.train.augment.greys import Blur, Coarse, Contrast, Gamma, Noise, Tone
from pleura.lab.train.augment.occlusion import Line, Lines, Opacity, Patch
from pleura.lab.train.recipe import Augment


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
