"""A training sample, and the base classes of the effects that vary it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, from_numpy
from torch.nn import functional

from pleura.lab.train.recipe import Augment

__all__ = ["ByChance", "Effect", "GreyEffect", "Sample", "grey_bytes", "grey_floats", "resized"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A film in the network's square, with its labels."""

    image: Tensor
    """(1, S, S) float32 in [0, 1]."""

    target: Tensor
    """(C, S, S) float32, 0 or 1."""

    weight: Tensor
    """(C, S, S) float32: 1 where the channel is labelled, 0 where it is not."""

    def at_side(self, side: int) -> Sample:
        """The same at another side, as `resized` makes it."""
        batch = self.image[None], self.target[None], self.weight[None]
        image, target, weight = resized(batch, side)
        return Sample(image[0], target[0], weight[0])


def resized(batch: tuple[Tensor, Tensor, Tensor], side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, target and weight, all (N, K, S, S), at (side, side).

    Greys by mean, targets by majority, known where all was known.
    """
    image, target, weight = (
        functional.interpolate(maps, (side, side), mode="area") for maps in batch
    )
    return image, (target > 0.5).float(), (weight > 1 - 1e-4).float()


class Effect(ABC):
    """One way to vary a film, with the values it is applied with.

    `draw` is random and `apply` is not: the same effect always gives the same sample.
    """

    @classmethod
    @abstractmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """The effect with values from the generator, or None where the film stays unchanged."""

    @abstractmethod
    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:
        """A new sample; `channels` names the maps of its target and weight. Shapes stay."""


class ByChance(Effect):
    """An effect that some films are shown with and others without."""

    chance: ClassVar[str]
    """The key of `[augment]` that holds its chance."""

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Draw whether the film has it, and then its values."""
        if rng.random() >= getattr(augment, cls.chance):
            return None
        return cls.at_random(rng)

    @classmethod
    @abstractmethod
    def at_random(cls, rng: Generator) -> Self:
        """The effect with values from the generator; their range is the same in every recipe."""


class GreyEffect(Effect):
    """An effect on grey values alone: the labels stay."""

    @abstractmethod
    def shade(self, image: Tensor) -> Tensor:
        """(1, S, S) -> (1, S, S)."""

    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:  # noqa: ARG002
        """Change the image."""
        return replace(sample, image=self.shade(sample.image))


def grey_bytes(image: Tensor) -> NDArray[np.uint8]:
    """(1, S, S) in [0, 1] -> (S, S)."""
    return (image[0] * 255).round().byte().numpy()


def grey_floats(picture: Image.Image) -> Tensor:
    """An 8-bit grey picture -> (1, S, S) float32 in [0, 1]."""
    return from_numpy(np.asarray(picture, dtype=np.float32) / 255)[None]
