"""Converting a picture of any mode to grey pixels, band by band to save memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.arrays import Pixels
from pleura.core.errors import UnsuitableFilm

__all__ = ["GREY_MODES", "OVER_BLACK", "deep_to_grey", "grey_pixels", "to_grey"]


GREY_MODES = ("L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Pillow's modes of one grey channel."""

OVER_BLACK = "transparent parts were laid over black"
"""The note on a film with transparent parts."""

_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_BAND = 4_000_000  # pixels converted at a time


def grey_pixels(image: Image.Image, *, photographs: bool) -> tuple[Pixels, list[str]]:
    """Convert a loaded picture of any mode to (H, W) float32 in its own grey values, and notes.

    The picture is closed after the conversion.
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
    """The picture in another mode; the original is closed."""
    if image.mode == mode:
        return image
    converted = image.convert(mode)
    image.close()
    return converted


def _as_float(image: Image.Image) -> Pixels:
    """A grey picture -> (H, W) float32; the picture is closed."""
    pixels = np.empty((image.height, image.width), np.float32)
    for top, bottom in _bands(image):
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    image.close()
    return pixels


def _lay_over_black(image: Image.Image) -> list[str]:
    """Lay an RGBA picture over black, as air is on a film, in place; a note if that shows."""
    lowest, _ = image.getchannel("A").getextrema()
    if lowest == 255:
        return []
    for top, bottom in _bands(image):
        band = image.crop((0, top, image.width, bottom))
        black = Image.new("RGBA", band.size, (0, 0, 0, 255))
        image.paste(Image.alpha_composite(black, band), (0, top))
    return [OVER_BLACK]


def _bands(image: Image.Image) -> Iterator[tuple[int, int]]:
    """The rows (top, bottom) of bands of a picture, each of about `_BAND` pixels."""
    rows = max(1, _BAND // image.width)
    return ((top, min(image.height, top + rows)) for top in range(0, image.height, rows))


COLOURED = 24
"""A pixel is coloured if R, G and B differ by more than this, of 255. JPEG's errors on grey films
stay below 10."""

COLOURED_SHARE = 0.1
"""Share of coloured pixels above which a film is coloured; coloured marks and letters have less."""

ONE_TINT = 0.98
"""Length of the mean hue vector (1 = all pixels of one hue) from which colour is a tint, as that of
a scanned film with a blue base."""

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601, as in Pillow
_SAMPLE = 1_000_000  # pixels whose colour is examined


def to_grey(
    image: Image.Image, *, photographs: bool = False
) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert an RGB or opaque RGBA picture to (a picture of mode L, notes).

    Raises `UnsuitableFilm` if more than a tenth of the pixels are coloured in several hues; with
    `photographs` such a picture gets a note instead.
    """
    rgb = _sample(image)
    coloured = rgb[np.ptp(rgb, axis=2) > COLOURED]
    share = len(coloured) / (rgb.shape[0] * rgb.shape[1])
    if share <= COLOURED_SHARE:
        return image.convert("L"), ()
    if _hue_unity(coloured) < ONE_TINT and photographs:
        return image.convert("L"), (
            f"this looks like a colour photograph ({share:.0%} of its pixels are coloured); "
            "it was read as grey because this was requested",
        )
    if _hue_unity(coloured) < ONE_TINT:
        raise UnsuitableFilm(
            f"this looks like a colour photograph: {share:.0%} of its pixels are coloured, "
            "a film is grey; give the film as it was exported, or a grey scan of it",
            can_force=True,
        )
    return image.convert("L"), ("the picture was tinted; it was read as grey",)


def deep_to_grey(
    rgb: NDArray[np.float32], *, photographs: bool = False
) -> tuple[Pixels, tuple[str, ...]]:
    """(H, W, 3) of any range -> ((H, W) luma in that range, notes); else as `to_grey`."""
    low, high = float(np.nanmin(rgb)), float(np.nanmax(rgb))
    scaled = np.clip((rgb - low) * (255 / (high - low or 1.0)), 0, 255)
    _, notes = to_grey(Image.fromarray(scaled.astype(np.uint8)), photographs=photographs)
    return rgb @ np.array(_LUMA, np.float32), notes


def _sample(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(h, w, 3) float32: evenly spread pixels, about `_SAMPLE` of them."""
    step = max(1, int(np.sqrt(image.width * image.height / _SAMPLE)))
    size = -(-image.width // step), -(-image.height // step)
    shift = (1 - step) / 2  # Pillow samples pixel centres; with this shift the first is (0, 0)
    part = image.transform(size, Image.Transform.AFFINE, (step, 0, shift, 0, step, shift))
    return np.asarray(part)[..., :3].astype(np.float32)


def _hue_unity(coloured: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """Length of the mean hue vector of (N, 3) colours, in [0, 1]: 1 if all have the same hue."""
    red, green, blue = coloured.T
    hues = np.stack([(red - green) / np.sqrt(2), (red + green - 2 * blue) / np.sqrt(6)])
    return float(np.hypot(*hues.sum(axis=1)) / np.hypot(*hues).sum())
