"""The placement of film and labels in the square: shifted, scaled, turned or mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from monai.transforms.spatial.array import Affine
from numpy.random import Generator
from torch import Tensor

from pleura.core.arrays import mirrored_channel
from pleura.lab.train.augment.effect import Effect, Sample
from pleura.lab.train.recipe import Augment

__all__ = ["Placement"]


@dataclass(frozen=True, slots=True)
class Placement(Effect):
    """Shift, scale, turn and mirror the film about the middle of the square."""

    shift: tuple[float, float] = (0.0, 0.0)
    """(down, right), as shares of the side."""

    scale: tuple[float, float] = (1.0, 1.0)
    """(rows, columns): the size of the film, relative to the square; below 1 there is a border."""

    rotation_deg: float = 0.0
    """Clockwise on the screen."""

    flip: bool = False

    @classmethod
    def draw(cls, augment: Augment, rng: Generator) -> Self | None:
        """From `padding`, `zoom`, `aspect`, `shift`, `rotation_deg` and `flip_chance`."""

        def either_way(most: float) -> float:
            return float(rng.uniform(-most, most))

        # With a border on each side the film is smaller, and not in the middle.
        top, bottom, left, right = (float(rng.uniform(0, augment.padding)) for _ in range(4))
        zoom, aspect = 1 + either_way(augment.zoom), math.sqrt(1 + abs(either_way(augment.aspect)))
        aspect = aspect if rng.random() < 0.5 else 1 / aspect
        tall, wide = 1 / (1 + top + bottom), 1 / (1 + left + right)
        placement = cls(
            shift=(
                either_way(augment.shift) + (top - bottom) / 2 * tall,
                either_way(augment.shift) + (left - right) / 2 * wide,
            ),
            scale=(zoom * tall * aspect, zoom * wide / aspect),
            rotation_deg=either_way(augment.rotation_deg),
            flip=bool(rng.random() < augment.flip_chance),
        )
        return None if placement == cls() else placement

    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:
        """Move image and labels. The border is black, and its label is known: no lung."""
        count = len(channels)
        # Unknown pixels are 1 here, so that the border, whose label is known, is 0.
        moved = self._moved(torch.cat([sample.image, sample.target, 1 - sample.weight]))
        target = (moved[1 : 1 + count] >= 0.5).float()
        weight = (moved[1 + count :] < 0.5).float()
        if self.flip:
            target, weight = _with_sides_exchanged(target, weight, channels)
        return Sample(moved[:1], target, weight)

    def _moved(self, stack: Tensor) -> Tensor:
        """(K, S, S) -> (K, S, S), bilinear, zeros outside."""
        side = stack.shape[-1]
        turn = math.radians(self.rotation_deg)
        cos, sin = math.cos(turn), math.sin(turn)
        tall, wide = self.scale
        down, right = (share * side for share in self.shift)
        # MONAI takes the inverse: the origin of each new pixel, (row, column) from the middle.
        inverse = np.array([[cos / tall, -sin / tall, 0], [sin / wide, cos / wide, 0], [0, 0, 1.0]])
        inverse[1] *= -1.0 if self.flip else 1.0
        inverse @= np.array([[1, 0, -down], [0, 1, -right], [0, 0, 1.0]])
        moved, _ = Affine(affine=inverse, mode="bilinear", padding_mode="zeros")(stack)
        return torch.as_tensor(np.asarray(moved), dtype=torch.float32)


def _with_sides_exchanged(
    target: Tensor, weight: Tensor, channels: tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    """The maps of a mirrored film: the right lung becomes the left one."""
    order = [_mirrored_index(channels, channel) for channel in channels]
    target, weight = target[order], weight[order]
    for index, channel in enumerate(channels):  # there is no mask of the other side
        if mirrored_channel(channel) not in channels:
            target[index], weight[index] = 0, 0
    return target, weight


def _mirrored_index(channels: tuple[str, ...], channel: str) -> int:
    mirrored = mirrored_channel(channel)
    return channels.index(mirrored if mirrored in channels else channel)
