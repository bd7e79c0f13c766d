"""Effects that hide parts of the lungs: an opaque lung, a patch, lines and tubes."""

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
    """One lung is opaque below some height, as with an effusion or a collapse."""

    chance = "opaque_chance"

    left: bool
    """Whether it is the left lung."""

    top: float
    """The height where it begins, as a share of the lung's height from its top; 0 is the whole
    lung."""

    cover: float
    """The opacity, in [0, 1]."""

    level: float
    """The grey of the opaque lung, in [0, 1]."""

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """The whole lung in 4 cases of 10."""
        left, all_of_it = rng.random() < 0.5, rng.random() < 0.4
        top = 0.0 if all_of_it else rng.uniform(0.2, 0.8)
        return cls(bool(left), *map(float, (top, rng.uniform(0.5, 0.95), rng.uniform(0.5, 0.95))))

    def apply(self, sample: Sample, channels: tuple[str, ...]) -> Sample:
        """Hide the lung of that side, with a soft rim, if its mask is known. Labels stay."""
        side = "left" if self.left else "right"
        masks = [sample.target[i] for i, name in enumerate(channels) if name.startswith(side)]
        lung = next((mask for mask in masks if mask.any()), None)
        if lung is None:
            return sample
        cover = self._cover(lung)
        return replace(sample, image=sample.image * (1 - cover) + self.level * cover)

    def _cover(self, lung: Tensor) -> Tensor:
        """(S, S) mask -> (1, S, S): the opacity of each pixel."""
        rows = torch.nonzero(lung.any(dim=1))
        top, bottom = int(rows[0]), int(rows[-1])
        begin = top + self.top * (bottom - top)
        reach = max(1.0, 0.02 * lung.shape[0])
        ramp = torch.sigmoid((torch.arange(lung.shape[0]) - begin) / reach) if self.top else 1.0
        return blurred((lung * torch.as_tensor(ramp).view(-1, 1))[None], reach) * self.cover


@dataclass(frozen=True, slots=True)
class Patch(ByChance, GreyEffect):
    """A soft ellipse over the film."""

    chance = "occlusion_chance"

    row: float
    column: float
    """Row and column of the middle, as shares of the side."""

    height: float
    width: float
    """Height and width, as shares of the side."""

    level: float
    """The grey of the ellipse, in [0, 1]."""

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """A place in the middle of the film, and a size."""
        row, column = rng.uniform(0.2, 0.8, 2)
        height, width = rng.uniform(0.1, 0.5, 2)
        return cls(*map(float, (row, column, height, width, rng.uniform(0.5, 0.95))))

    def change_greys(self, image: Tensor) -> Tensor:
        """Blend the ellipse, which has a soft rim, into the image."""
        side = image.shape[-1]
        place = (torch.arange(side) + 0.5) / side
        rows = ((place - self.row) / (self.height / 2)).view(-1, 1)
        columns = ((place - self.column) / (self.width / 2)).view(1, -1)
        cover = torch.exp(-((rows**2 + columns**2) ** 2)) * 0.9
        return image * (1 - cover) + self.level * cover


@dataclass(frozen=True, slots=True)
class Line:
    """A quadratic curve."""

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    """Start, control point and end: (row, column), as shares of the side."""

    width: float
    """As a share of the side."""

    level: float
    """The grey of the curve, in [0, 1]."""

    @classmethod
    def draw(cls, rng: Generator) -> Self:
        """Random points, a width from wire to tube, and a grey, mostly bright."""
        rows, columns = rng.uniform(0.0, 1.0, 3), rng.uniform(0.1, 0.9, 3)
        first, middle, last = ((float(r), float(c)) for r, c in zip(rows, columns, strict=True))
        width, level = rng.uniform(0.003, 0.015), rng.choice([0.1, 0.7, 0.85, 1.0])
        return cls((first, middle, last), float(width), float(level))

    def cover(self, side: int) -> Tensor:
        """(1, S, S) in [0, 1]: the opacity, drawn at twice the size for smooth edges."""
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
    """A few bright or dark curves, such as lines, tubes and wires."""

    chance = "line_chance"

    lines: tuple[Line, ...]

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """One to three curves."""
        return cls(tuple(Line.draw(rng) for _ in range(int(rng.integers(1, 4)))))

    def change_greys(self, image: Tensor) -> Tensor:
        """Draw the curves one after another."""
        for line in self.lines:
            cover = line.cover(image.shape[-1])
            image = image * (1 - cover) + line.level * cover
        return image
