"""Artefacts of the finished picture: burnt-in letters, JPEG compression, inverted greys."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pleura.lab.train.augment.effect import ByChance, GreyEffect, grey_bytes, grey_floats

__all__ = ["Invert", "Jpeg", "Letters"]


@dataclass(frozen=True, slots=True)
class Letters(ByChance, GreyEffect):
    """Letters burnt into the picture."""

    chance = "text_chance"

    text: str
    row: float
    """Of the upper edge, in shares of the side, as are the left edge and the size."""

    column: float
    size: float
    """Height of the letters."""

    level: float
    """Grey of the letters, in [0, 1]."""

    @classmethod
    def at_random(cls, rng: Generator) -> Self:
        """1 to 11 letters."""
        letters = rng.choice(list("LRAPWABCDEFGHKMNSTUX0123456789 "), size=int(rng.integers(1, 12)))
        row, column = rng.uniform(0.0, 0.92, 2)
        size, level = rng.uniform(0.03, 0.1), rng.choice([0.0, 0.8, 1.0])
        return cls("".join(letters), *map(float, (row, column, size, level)))

    def shade(self, image: Tensor) -> Tensor:
        """In Pillow's own font."""
        side = image.shape[-1]
        picture = Image.fromarray(grey_bytes(image))
        place = (int(self.column * side), int(self.row * side))
        font = ImageFont.load_default(size=max(6.0, self.size * side))
        ImageDraw.Draw(picture).text(place, self.text, fill=int(255 * self.level), font=font)
        return grey_floats(picture)


@dataclass(frozen=True, slots=True)
class Jpeg(ByChance, GreyEffect):
    """Compress as JPEG and decompress."""

    chance = "jpeg_chance"

    quality: int
    """Pillow's, from 1 to 95."""

    @classmethod
    def at_random(cls, rng: Generator) -> Self:
        """At a low quality."""
        return cls(int(rng.integers(15, 60)))

    def shade(self, image: Tensor) -> Tensor:
        """Through 8 bits."""
        store = io.BytesIO()
        Image.fromarray(grey_bytes(image)).save(store, "JPEG", quality=self.quality)
        with Image.open(store) as picture:
            return grey_floats(picture)


@dataclass(frozen=True, slots=True)
class Invert(ByChance, GreyEffect):
    """Show dark as light."""

    chance = "invert_chance"

    @classmethod
    def at_random(cls, rng: Generator) -> Self:  # noqa: ARG003
        """It has no values."""
        return cls()

    def shade(self, image: Tensor) -> Tensor:
        """The greys of [0, 1], turned over."""
        return 1 - image
