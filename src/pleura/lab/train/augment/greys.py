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
    """A film that was stored with fewer pixels."""

    chance = "coarse_chance"

    share: float
    """The side of the stored film, as a share of the square's."""

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """A share from 0.25 to 0.75."""
        return cls(float(rng.uniform(0.25, 0.75)))

    def change_greys(self, image: Tensor) -> Tensor:
        """Scale the image down and up again."""
        side = image.shape[-1]
        small = functional.interpolate(
            image[None], size=max(8, round(self.share * side)), mode="bilinear", antialias=True
        )
        return functional.interpolate(small, size=side, mode="bilinear")[0]


@dataclass(frozen=True, slots=True)
class Gamma(GreyEffect):
    """A gamma curve from the darkest to the brightest grey."""

    gamma: float

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Drawn log-uniformly from 1 / (1 + `gamma`) to 1 + `gamma`."""
        most = math.log1p(augment.gamma)
        gamma = float(np.exp(float(rng.uniform(-most, most))))
        return None if gamma == 1 else cls(gamma)

    def change_greys(self, image: Tensor) -> Tensor:
        """Raise the greys, scaled to [0, 1], to the power `gamma`."""
        return torch.as_tensor(np.asarray(AdjustContrast(gamma=self.gamma)(image)))


TONE_PARTS = 5
"""The number of equal parts of the grey scale; each has its own slope in a tone curve."""


@dataclass(frozen=True, slots=True)
class Tone(GreyEffect):
    """A tone curve of straight lines that rises from 0 to 1."""

    ends: tuple[float, ...]
    """The new grey at the end of each part of the scale, rising from above 0 to 1."""

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Slopes from 1 / (1 + `tone`) to 1 + `tone`; no random number is used if `tone` is 0."""
        if not augment.tone:
            return None
        most = math.log1p(augment.tone)
        slopes = np.exp(rng.uniform(-most, most, TONE_PARTS))
        return cls(tuple(map(float, np.cumsum(slopes) / slopes.sum())))

    def change_greys(self, image: Tensor) -> Tensor:
        """Map the greys by the curve."""
        knots = np.linspace(0, 1, len(self.ends) + 1)
        curve = np.interp(image.clamp(0, 1).numpy(), knots, (0.0, *self.ends))
        return torch.from_numpy(curve.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Contrast(GreyEffect):
    """Contrast about the middle grey, and brightness."""

    gain: float = 1.0
    offset: float = 0.0

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """The gain is 1 +- `contrast` at most, the offset half of it."""
        most = augment.contrast
        effect = cls(1 + float(rng.uniform(-most, most)), float(rng.uniform(-most, most)) / 2)
        return None if effect == cls() else effect

    def change_greys(self, image: Tensor) -> Tensor:
        """Multiply and shift the greys; they may leave [0, 1]."""
        return (image - 0.5) * self.gain + 0.5 + self.offset


@dataclass(frozen=True, slots=True)
class Blur(GreyEffect):
    """A Gaussian blur."""

    sigma_px: float

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """A standard deviation of up to `blur_px`."""
        sigma_px = float(rng.uniform(0, augment.blur_px))
        return cls(sigma_px) if sigma_px else None

    def change_greys(self, image: Tensor) -> Tensor:
        """Blur the image; beyond its edges the values at the edge are repeated."""
        return blurred(image, self.sigma_px)


@dataclass(frozen=True, slots=True)
class Noise(GreyEffect):
    """Gaussian noise. Its seed is a value of the effect, so `apply` always gives the same noise."""

    deviation: float
    """The standard deviation, in greys of [0, 1]."""

    seed: int = 0

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """A standard deviation of up to `noise`, and a seed."""
        deviation, seed = float(rng.uniform(0, augment.noise)), int(rng.integers(2**31))
        return cls(deviation, seed) if deviation else None

    def change_greys(self, image: Tensor) -> Tensor:
        """Add the noise; greys may leave [0, 1]."""
        generator = torch.Generator().manual_seed(self.seed)
        return image + self.deviation * torch.randn(image.shape, generator=generator)


def blurred(image: Tensor, sigma_px: float) -> Tensor:
    """(1, S, S), blurred by a Gaussian; beyond the edges the values at the edge are repeated."""
    # MONAI's filter has zeros outside the image.
    reach = min(math.ceil(4 * sigma_px), image.shape[-1])
    wide = functional.pad(image[None], (reach,) * 4, mode="replicate")[0]
    smooth = torch.as_tensor(np.asarray(GaussianSmooth(sigma=sigma_px)(wide)))
    return smooth[:, reach:-reach, reach:-reach]
