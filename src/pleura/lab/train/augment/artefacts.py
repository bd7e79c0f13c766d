"""Effects on the complete picture: burnt-in letters, JPEG compression, inverted greys."""

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
    """Burnt-in letters."""

    chance = "text_chance"

    text: str
    row: float
    """The upper edge of the text, as a share of the side."""

    column: float
    """The left edge of the text, as a share of the side."""

    size: float
    """The height of the letters, as a share of the side."""

    level: float
    """Grey of the letters, in [0, 1]."""

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """From 1 to 11 letters."""
        letters = rng.choice(list("LRAPWABCDEFGHKMNSTUX0123456789 "), size=int(rng.integers(1, 12)))
        row, column = rng.uniform(0.0, 0.92, 2)
        size, level = rng.uniform(0.03, 0.1), rng.choice([0.0, 0.8, 1.0])
        return cls("".join(letters), *map(float, (row, column, size, level)))

    def change_greys(self, image: Tensor) -> Tensor:
        """Draw the letters with Pillow's default font."""
        side = image.shape[-1]
        picture = Image.fromarray(grey_bytes(image))
        place = (int(self.column * side), int(self.row * side))
        font = ImageFont.load_default(size=max(6.0, self.size * side))
        ImageDraw.Draw(picture).text(place, self.text, fill=int(255 * self.level), font=font)
        return grey_floats(picture)


@dataclass(frozen=True, slots=True)
class Jpeg(ByChance, GreyEffect):
    """JPEG compression and decompression."""

    chance = "jpeg_chance"

    quality: int
    """The quality as Pillow counts it, from 1 to 95."""

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:
        """A low quality, from 15 to 59."""
        return cls(int(rng.integers(15, 60)))

    def change_greys(self, image: Tensor) -> Tensor:
        """Compress and decompress the image in 8 bits."""
        store = io.BytesIO()
        Image.fromarray(grey_bytes(image)).save(store, "JPEG", quality=self.quality)
        with Image.open(store) as picture:
            return grey_floats(picture)


@dataclass(frozen=True, slots=True)
class Invert(ByChance, GreyEffect):
    """Inverted greys, as in a negative."""

    chance = "invert_chance"

    @classmethod
    def with_random_values(cls, rng: Generator) -> Self:  # noqa: ARG003
        """The effect has no values."""
        return cls()

    def change_greys(self, image: Tensor) -> Tensor:
        """Invert greys of [0, 1]."""
        return 1 - image
