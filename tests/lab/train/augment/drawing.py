"""A synthetic film with two discs as lungs, and its variations."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pleura.lab.train.augment import Sample, Variation
from pleura.lab.train.augment.effect import Effect
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


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(variation: Variation, kind: type[Kind]) -> Kind:
    """The effect of that class, which is there."""
    effect = variation.get(kind)
    assert effect is not None
    return effect
