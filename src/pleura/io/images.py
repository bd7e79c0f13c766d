"""PNG, JPEG, TIFF, BMP and WebP through Pillow -> `Radiograph`.

Sizes are checked in the header before a pixel is decoded, against our own limit: Pillow's global
limit is neither used nor changed. Resolution tags (pHYs, DPI) say how to print, not how large the
chest was: spacing is None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pleura.core.errors import UnsuitableFilm
from pleura.core.types import Pixels, Radiograph
from pleura.io.colour import to_grey
from pleura.io.decoding import decoding
from pleura.io.suitable import MOST_PIXELS, check_contrast, check_size

__all__ = ["PLUGINS", "read_image"]

PLUGINS: dict[str, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
"""Opened by class: `Image.open` would try every format and warn of sizes that are fine here."""

_ORIENTATION = 0x0112  # the EXIF and TIFF tag
_PHOTOMETRIC = 262  # the TIFF tag; 0 is WhiteIsZero
_GREY = ("L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def read_image(
    stream: IO[bytes],
    *,
    kind: str,
    most_pixels: int = MOST_PIXELS,
    photographs: bool = False,
) -> Radiograph:
    """Read a film from an open file of the format `kind`, a key of `PLUGINS`.

    8 and 16 bit, 32-bit integer and float; grey, RGB, palette, with or without alpha. Of several
    pages the first is read; `photographs` in colour are read too. Raises `UnreadableFilm` or
    `UnsuitableFilm`.
    """
    with decoding(kind, alone=False) as state:
        image = PLUGINS[kind](stream)
        check_size(image.height, image.width, most=most_pixels)
        _check_mode(image)
        state.notes += _page_notes(image)
        if image.getexif().get(_ORIENTATION, 1) != 1:
            state.notes.append("turned as the file asks (EXIF orientation); so are the masks")
        inverted = _is_white_zero(image)
        image.load()
        ImageOps.exif_transpose(image, in_place=True)  # TIFF turned itself while loading
        pixels, notes = _grey_pixels(image, photographs=photographs)
        state.notes += notes
        if image.mode == "F":
            pixels = _finite(pixels, state.notes)
        if inverted:
            pixels = pixels.max() + pixels.min() - pixels
        check_contrast(pixels)
    return Radiograph(pixels, notes=tuple(state.notes))


def _check_mode(image: ImageFile.ImageFile) -> None:
    if image.mode == "1":
        raise UnsuitableFilm(
            "the image has 1 bit a pixel, black or white, as a mask or a fax has; "
            "give the film itself, with 8 bits or more"
        )


def _page_notes(image: ImageFile.ImageFile) -> list[str]:
    pages, notes = getattr(image, "n_frames", 1), []
    if pages > 1:
        notes.append(f"the file holds {pages} pages; the first was read")
    if image.mode not in _GREY and any(";16" in str(tile.args) for tile in image.tile):
        notes.append("16-bit colour was read with 8 bits")
    return notes


def _is_white_zero(image: ImageFile.ImageFile) -> bool:
    """Whether high values are dark: Pillow turns 8-bit TIFF round by itself, deeper ones not."""
    tags = getattr(image, "tag_v2", {})
    return image.mode != "L" and image.mode in _GREY and tags.get(_PHOTOMETRIC) == 0


def _grey_pixels(image: Image.Image, *, photographs: bool) -> tuple[Pixels, list[str]]:
    """A loaded picture of any mode -> (H, W) float32 in its own grey values, and notes."""
    notes: list[str] = []
    if image.mode in _GREY:
        return np.asarray(image, dtype=np.float32), notes
    if image.mode in _WITH_ALPHA or (image.mode == "P" and "transparency" in image.info):
        image, notes = _over_black(image.convert("RGBA"))
    grey, more = to_grey(image.convert("RGB"), photographs=photographs)
    return np.asarray(grey, dtype=np.float32), [*notes, *more]


def _over_black(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """Lay an RGBA picture over black, the colour of air on a film."""
    lowest, _ = image.getchannel("A").getextrema()
    if lowest == 255:
        return image, []
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image), ["transparent parts were laid over black"]


def _finite(pixels: Pixels, notes: list[str]) -> Pixels:
    """Replace what is not a number (float TIFF) by the darkest value there is."""
    bad = ~np.isfinite(pixels)
    if not bad.any():
        return pixels
    if bad.all():
        raise UnsuitableFilm("no pixel of the film is a finite number; export it again")
    notes.append(f"{int(bad.sum())} pixels were no finite numbers; they were made black")
    return np.where(bad, pixels[~bad].min(), pixels)
