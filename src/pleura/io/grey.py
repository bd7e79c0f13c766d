"""A loaded picture of any mode -> grey pixels, with few copies of a large film at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from pleura.core.arrays import Pixels
from pleura.io.colour import to_grey

__all__ = ["GREY_MODES", "OVER_BLACK", "grey_pixels"]

GREY_MODES = ("L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of one grey channel."""

OVER_BLACK = "transparent parts were laid over black"
"""The note on a film with transparent parts."""

_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_BAND = 4_000_000  # pixels converted at a time


def grey_pixels(image: Image.Image, *, photographs: bool) -> tuple[Pixels, list[str]]:
    """A loaded picture of any mode -> (H, W) float32 in its own grey values, and notes.

    The picture is closed as soon as it is converted.
    """
    notes: list[str] = []
    if image.mode in GREY_MODES:
        return _as_float(image), notes
    if image.mode == "LAB":
        return _as_float(image.getchannel("L")), notes
    if image.mode in _WITH_ALPHA or (image.mode == "P" and "transparency" in image.info):
        image = _converted(image, "RGBA")
        notes += _lay_over_black(image)
    else:
        image = _converted(image, "RGB")
    grey, more = to_grey(image, photographs=photographs)
    image.close()
    return _as_float(grey), [*notes, *more]


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The picture in another mode; the first is closed."""
    if image.mode == mode:
        return image
    converted = image.convert(mode)
    image.close()
    return converted


def _as_float(image: Image.Image) -> Pixels:
    """A grey picture -> (H, W) float32; it is closed after that."""
    pixels = np.empty((image.height, image.width), np.float32)
    for top, bottom in _bands(image):
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    image.close()
    return pixels


def _lay_over_black(image: Image.Image) -> list[str]:
    """Lay an RGBA picture over black, the colour of air on a film, in place; a note if it shows."""
    lowest, _ = image.getchannel("A").getextrema()
    if lowest == 255:
        return []
    for top, bottom in _bands(image):
        band = image.crop((0, top, image.width, bottom))
        black = Image.new("RGBA", band.size, (0, 0, 0, 255))
        image.paste(Image.alpha_composite(black, band), (0, top))
    return [OVER_BLACK]


def _bands(image: Image.Image) -> Iterator[tuple[int, int]]:
    """Rows (top, bottom) of parts of a picture, each of about `_BAND` pixels."""
    rows = max(1, _BAND // image.width)
    return ((top, min(image.height, top + rows)) for top in range(0, image.height, rows))
