"""Occlusions of the lungs: an opaque lung, a patch over the film, lines and tubes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image, ImageDraw
from torch import Tensor

from pleura.lab.train.augment.effect import ByChance, GreyEffect, Sample, grey_floats
from pleura.lab.train.augment.greys import blurred

__all__ = ["Line", "Lines", "Opacity", "Patch"]


@dataclass(frozen=True, slots=True)
class Opacity(ByChance):
    """Whiten one lung, from some height down, as an effusion or a collapse would."""

    chance = "opaque_chance"

    left: bool
    top: float
    """Where it begins, in shares of the lung's height from its top; 0 is all of it."""

    cover: float
    """How much of the film is hidden, in [0, 1]."""

    level: float
    """Grey that the lung is blended towards, in [0, 1]."""

    @classmethod
    def at_random(cls, rng: Generator) -> Self:
        """All of the lung in 4 cases of 10."""
        left, all_of_it = rng.random() < 0.5, rng.random() < 0.4
        top = 0.0 if all_of_it else rng.uniform(0.2, 0.8)
        return cls(bool(left), *map(float, (top, rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95))))

    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:
        """Hide the lung of that side, if its mask is known; soft at the rim. Labels stay."""
        side = "left" if self.left else "right"
        masks = [sample.target[i] for i, name in enumerate(channels) if name.startswith(side)]
        lung = next((mask for mask in masks if mask.any()), None)
        if lung is None:
            return sample
        cover = self._cover(lung)
        return replace(sample, image=sample.image * (1 - cover) + self.level * cover)

    def _cover(self, lung: Tensor) -> Tensor:
        """(S, S) mask -> (1, S, S), how much of each pixel is hidden."""
        rows = torch.nonzero(lung.any(dim=1))
        top, bottom = int(rows[0]), int(rows[-1])
        begin = top + self.top * (bottom - top)
        reach = max(1.0, 0.02 * lung.shape[0])
        ramp = torch.sigmoid((torch.arange(lung.shape[0]) - begin) / reach) if self.top else 1.0
        return blurred((lung * torch.as_tensor(ramp).view(-1, 1))[None], reach) * self.cover


@dataclass(frozen=True, slots=True)
class Patch(ByChance, GreyEffect):
    """A soft ellipse painted over the film."""

    chance = "occlusion_chance"

    row: float
    """Of its middle, in shares of the film's side, as are the column and its size."""

    column: float
    height: float
    width: float
    level: float
    """Grey that the film is blended towards, in [0, 1]."""

    @classmethod
    def at_random(cls, rng: Generator) -> Self:
        """Anywhere near the middle, of any shape."""
        row, column = rng.uniform(0.2, 0.8, 2)
        height, width = rng.uniform(0.1, 0.5, 2)
        return cls(*map(float, (row, column, height, width, rng.uniform(0.5, 0.95))))

    def shade(self, image: Tensor) -> Tensor:
        """Flat in the middle, soft at the rim."""
        side = image.shape[-1]
        place = (torch.arange(side) + 0.5) / side
        rows = ((place - self.row) / (self.height / 2)).view(-1, 1)
        columns = ((place - self.column) / (self.width / 2)).view(1, -1)
        cover = torch.exp(-((rows**2 + columns**2) ** 2)) * 0.9
        return image * (1 - cover) + self.level * cover


@dataclass(frozen=True, slots=True)
class Line:
    """A quadratic curve between two points, (row, column) in shares of the side."""

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    width: float
    level: float

    @classmethod
    def draw(cls, rng: Generator) -> Self:
        """Anywhere, from a wire to a tube, mostly bright."""
        rows, columns = rng.uniform(0.0, 1.0, 3), rng.uniform(0.1, 0.9, 3)
        first, middle, last = ((float(r), float(c)) for r, c in zip(rows, columns, strict=True))
        width, level = rng.uniform(0.003, 0.015), rng.choice([0.1, 0.7, 0.85, 1.0])
        return cls((first, middle, last), float(width), float(level))

    def cover(self, side: int) -> Tensor:
        """(1, S, S) in [0, 1], drawn at twice the size for smooth edges."""
        sheet = Image.new("L", (2 * side, 2 * side))
        (r0, c0), (r1, c1), (r2, c2) = self.points
        t = np.linspace(0, 1, 40)
        weights = (1 - t) ** 2, 2 * t * (1 - t), t**2
        columns = weights[0] * c0 + weights[1] * c1 + weights[2] * c2
        rows = weights[0] * r0 + weights[1] * r1 + weights[2] * r2
        path = [(2 * side * c, 2 * side * r) for c, r in zip(columns, rows, strict=True)]
        width = max(1, round(2 * side * self.width))
        ImageDraw.Draw(sheet).line(path, fill=255, width=width, joint="curve")
        return 0.8 * grey_floats(sheet.resize((side, side), Image.Resampling.BOX))


@dataclass(frozen=True, slots=True)
class Lines(ByChance, GreyEffect):
    """A few bright or dark curves, as lines, tubes and wires."""

    chance = "line_chance"

    lines: tuple[Line, ...]

    @classmethod
    def at_random(cls, rng: Generator) -> Self:
        """One to three."""
        return cls(tuple(Line.draw(rng) for _ in range(int(rng.integers(1, 4)))))

    def shade(self, image: Tensor) -> Tensor:
        """One after the other."""
        for line in self.lines:
            cover = line.cover(image.shape[-1])
            image = image * (1 - cover) + line.level * cover
        return image
