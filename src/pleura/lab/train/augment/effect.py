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
    """(C, S, S) float32: 1 where the label is known, 0 where it is not."""

    def at_side(self, side: int) -> Sample:
        """The same sample with another side, by `resized`."""
        batch = self.image[None], self.target[None], self.weight[None]
        image, target, weight = resized(batch, side)
        return Sample(image[0], target[0], weight[0])


def resized(batch: tuple[Tensor, Tensor, Tensor], side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, target and weight, all (N, K, S, S), resized to (side, side).

    A new pixel has the mean grey and the label of most old pixels. It is known if all of them are.
    """
    image, target, weight = (
        functional.interpolate(maps, (side, side), mode="area") for maps in batch
    )
    return image, (target > 0.5).float(), (weight > 1 - 1e-4).float()


class Effect(ABC):
    """An effect of augmentation, with its values.

    `draw` is random, `apply` is not: the same effect always gives the same sample.
    """

    @classmethod
    @abstractmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Draw the effect and its values; None if the film stays unchanged."""

    @abstractmethod
    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:
        """A new sample of the same shape; `channels` names the maps of target and weight."""


class ByChance(Effect):
    """An effect that a film has with a probability given by the recipe."""

    chance: ClassVar[str]
    """The key of `[augment]` with that probability."""

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """Draw whether the film has the effect, and then its values."""
        if rng.random() >= getattr(augment, cls.chance):
            return None
        return cls.with_random_values(rng)

    @classmethod
    @abstractmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """The effect with random values; their ranges do not depend on the recipe."""


class GreyEffect(Effect):
    """An effect on grey values only; the labels do not change."""

    @abstractmethod
    def change_greys(self, image: Tensor) -> Tensor:
        """(1, S, S) -> (1, S, S): the image with changed greys."""

    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:  # noqa: ARG002
        """The sample with changed greys."""
        return replace(sample, image=self.change_greys(sample.image))


def grey_bytes(image: Tensor) -> NDArray[np.uint8]:
    """(1, S, S) in [0, 1] -> (S, S) uint8."""
    return (image[0] * 255).round().byte().numpy()


def grey_floats(picture: Image.Image) -> Tensor:
    """An 8-bit grey picture -> (1, S, S) float32 in [0, 1]."""
    return from_numpy(np.asarray(picture, dtype=np.float32) / 255)[None]
