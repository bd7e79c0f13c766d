"""A loaded picture of any mode -> grey pixels, with few copies of a large film at once."""

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


COLOURED = 24
"""Largest minus smallest of R, G, B (of 255) from which a pixel counts as coloured; JPEG's own
errors on grey films stay below 10."""

COLOURED_SHARE = 0.1
"""Of the pixels; marks and letters in colour take less."""

ONE_TINT = 0.98
"""Length of the mean hue vector (1 = every pixel of one hue) from which colour is a tint, as of a
blue film base that was scanned."""

_LUMA = (0.299, 0.587, 0.114)  # Rec. 601, as Pillow has it
_SAMPLE = 1_000_000  # pixels looked at


def to_grey(
    image: Image.Image, *, photographs: bool = False
) -> tuple[Image.Image, tuple[str, ...]]:
    """An RGB or opaque RGBA picture -> (the same in mode L, notes).

    Raises `UnsuitableFilm` where more than a tenth of the pixels are coloured in several hues;
    with `photographs` that becomes a note.
    """
    rgb = _sample(image)
    coloured = rgb[np.ptp(rgb, axis=2) > COLOURED]
    share = len(coloured) / (rgb.shape[0] * rgb.shape[1])
    if share <= COLOURED_SHARE:
        return image.convert("L"), ()
    if _hue_unity(coloured) < ONE_TINT and photographs:
        return image.convert("L"), (
            f"this looks like a colour photograph ({share:.0%} of its pixels are coloured); "
            "it was read as grey because that was asked for",
        )
    if _hue_unity(coloured) < ONE_TINT:
        raise UnsuitableFilm(
            f"this looks like a colour photograph: {share:.0%} of its pixels are coloured, "
            "a film is grey; give the film as it was exported, or a grey scan of it; "
            "a photograph of a film is segmented all the same with --force"
        )
    return image.convert("L"), ("the picture was tinted; it was read as grey",)


def deep_to_grey(
    rgb: NDArray[np.float32], *, photographs: bool = False
) -> tuple[Pixels, tuple[str, ...]]:
    """(H, W, 3) of any range -> ((H, W) luma in that range, notes); as `to_grey` else."""
    low, high = float(np.nanmin(rgb)), float(np.nanmax(rgb))
    scaled = np.clip((rgb - low) * (255 / (high - low or 1.0)), 0, 255)
    _, notes = to_grey(Image.fromarray(scaled.astype(np.uint8)), photographs=photographs)
    return rgb @ np.array(_LUMA, np.float32), notes


def _sample(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(h, w, 3) float32: rows and columns at even distances, about `_SAMPLE` pixels."""
    step = max(1, int(np.sqrt(image.width * image.height / _SAMPLE)))
    size = -(-image.width // step), -(-image.height // step)
    shift = (1 - step) / 2  # Pillow takes the middle of a pixel: so the first is (0, 0)
    part = image.transform(size, Image.Transform.AFFINE, (step, 0, shift, 0, step, shift))
    return np.asarray(part)[..., :3].astype(np.float32)


def _hue_unity(coloured: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> float:
    """(N, 3) -> how much one hue rules, in [0, 1]: 1 where all hues agree."""
    red, green, blue = coloured.T
    across = np.stack([(red - green) / np.sqrt(2), (red + green - 2 * blue) / np.sqrt(6)])
    return float(np.hypot(*across.sum(axis=1)) / np.hypot(*across).sum())
