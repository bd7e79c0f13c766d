"""Effects on grey values: gamma, contrast, blur, noise, and a scan with few pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from monai.transforms.intensity.array import AdjustContrast, GaussianSmooth
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional

from pleura.lab.train.augment.effect import ByChance, GreyEffect
from pleura.lab.train.recipe import Augment

__all__ = ["Blur", "Coarse", "Contrast", "Gamma", "Noise", "Tone", "blurred"]


@dataclass(frozen=True, slots=True)
class Coarse(ByChance, GreyEffect):
    """Show the film as if it had been stored with fewer pixels."""

    chance = "coarse_chance"

    share: float
    """Side that it is shown at, as a share of the square's."""

    @classmethod
    def at_random(cls, rng: Generator) -> Self:
        """From a quarter to three quarters of the side."""
        return cls(float(rng.uniform(0.25, 0.75)))

    def shade(self, image: Tensor) -> Tensor:
        """Scale down and up again."""
        side = image.shape[-1]
        small = functional.interpolate(
            image[None], size=max(8, round(self.share * side)), mode="bilinear", antialias=True
        )
        return functional.interpolate(small, size=side, mode="bilinear")[0]


@dataclass(frozen=True, slots=True)
class Gamma(GreyEffect):
    """Bend the greys between the darkest and the lightest."""

    gamma: float

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Up to `1 + gamma`, or as far below 1."""
        most = math.log1p(augment.gamma)
        gamma = float(np.exp(float(rng.uniform(-most, most))))
        return None if gamma == 1 else cls(gamma)

    def shade(self, image: Tensor) -> Tensor:
        """Raise the greys, scaled to [0, 1], to the power."""
        return torch.as_tensor(np.asarray(AdjustContrast(gamma=self.gamma)(image)))


STRETCHES = 5
"""Parts of the grey scale, each with a slope of its own in a tone curve."""


@dataclass(frozen=True, slots=True)
class Tone(GreyEffect):
    """Pass the greys through a rising curve from 0 to 1."""

    ends: tuple[float, ...]
    """Grey at the end of each stretch, rising from above 0 to 1."""

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Slopes between 1 / (1 + `tone`) and 1 + `tone`; nothing is drawn where `tone` is 0."""
        if not augment.tone:
            return None
        most = math.log1p(augment.tone)
        slopes = np.exp(rng.uniform(-most, most, STRETCHES))
        return cls(tuple(map(float, np.cumsum(slopes) / slopes.sum())))

    def shade(self, image: Tensor) -> Tensor:
        """Linear between the ends of equal stretches."""
        knots = np.linspace(0, 1, len(self.ends) + 1)
        curve = np.interp(image.clamp(0, 1).numpy(), knots, (0.0, *self.ends))
        return torch.from_numpy(curve.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Contrast(GreyEffect):
    """Stretch the greys about the middle, and shift them."""

    gain: float = 1.0
    offset: float = 0.0

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """The gain from `contrast`, the offset from half of it."""
        most = augment.contrast
        effect = cls(1 + float(rng.uniform(-most, most)), float(rng.uniform(-most, most)) / 2)
        return None if effect == cls() else effect

    def shade(self, image: Tensor) -> Tensor:
        """Values may leave [0, 1]."""
        return (image - 0.5) * self.gain + 0.5 + self.offset


@dataclass(frozen=True, slots=True)
class Blur(GreyEffect):
    """Blur by a Gaussian."""

    sigma_px: float

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Up to `blur_px`."""
        sigma_px = float(rng.uniform(0, augment.blur_px))
        return cls(sigma_px) if sigma_px else None

    def shade(self, image: Tensor) -> Tensor:
        """The film is continued at its edges."""
        return blurred(image, self.sigma_px)


@dataclass(frozen=True, slots=True)
class Noise(GreyEffect):
    """Add Gaussian noise; its seed is drawn, so that it is the same each time it is applied."""

    spread: float
    """Standard deviation, in greys of [0, 1]."""

    seed: int = 0

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Up to `noise`."""
        spread, seed = float(rng.uniform(0, augment.noise)), int(rng.integers(2**31))
        return cls(spread, seed) if spread else None

    def shade(self, image: Tensor) -> Tensor:
        """Values may leave [0, 1]."""
        generator = torch.Generator().manual_seed(self.seed)
        return image + self.spread * torch.randn(image.shape, generator=generator)


def blurred(image: Tensor, sigma_px: float) -> Tensor:
    """(1, S, S), blurred by a Gaussian as if the film went on beyond its edges as it ends."""
    # MONAI's filter takes zeros outside the image.
    reach = min(math.ceil(4 * sigma_px), image.shape[-1])
    wide = functional.pad(image[None], (reach,) * 4, mode="replicate")[0]
    smooth = torch.as_tensor(np.asarray(GaussianSmooth(sigma=sigma_px)(wide)))
    return smooth[:, reach:-reach, reach:-reach]
