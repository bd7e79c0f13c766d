"""PNG, JPEG, TIFF, BMP and WebP through Pillow -> `Radiograph`.

Sizes are checked in the header before a pixel is decoded, against our own limit: Pillow's global
limit is neither used nor changed. Resolution tags (pHYs, DPI) say how to print, not how large the
chest was: spacing is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, cast

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

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.core.types import Pixels, Radiograph
from pleura.io.bounded_reads import BoundedReads
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

MOST_SCANS = 100
"""Of a progressive JPEG; encoders write about ten."""

_SCAN = b"\xff\xda"  # the marker that begins a scan; the pixels' own bytes never look like it
_BLOCK = 1 << 20  # bytes
_BAND = 4_000_000  # pixels
_READ_BY_PILLOW = ("PNG", "JPEG")  # in Python, piece by piece; other formats may want a real file
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
        in_pieces = cast(IO[bytes], BoundedReads(stream)) if kind in _READ_BY_PILLOW else stream
        image = PLUGINS[kind](in_pieces)
        check_size(image.height, image.width, most=most_pixels)
        _check_mode(image)
        if image.info.get("progressive"):
            _check_scans(stream)
        state.notes += _page_notes(image)
        if image.getexif().get(_ORIENTATION, 1) != 1:
            state.notes.append("turned as the file asks (EXIF orientation); so are the masks")
        inverted, is_float = _is_white_zero(image), image.mode == "F"
        image.load()
        ImageOps.exif_transpose(image, in_place=True)  # TIFF turned itself while loading
        pixels, notes = _grey_pixels(image, photographs=photographs)
        state.notes += notes
        if is_float:
            pixels = _finite(pixels, state.notes)
        if inverted:
            np.subtract(pixels.max() + pixels.min(), pixels, out=pixels)
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


def _check_scans(stream: IO[bytes]) -> None:
    """Raise `UnreadableFilm` for a progressive JPEG of so many scans that it takes minutes.

    A decoder goes over the whole picture once for each scan. Leaves the stream where it is.
    """
    at = stream.tell()
    stream.seek(0)
    scans, end = 0, b""
    while block := stream.read(_BLOCK):
        scans += (end + block).count(_SCAN)
        end = block[-1:]
    stream.seek(at)
    if scans > MOST_SCANS:
        raise UnreadableFilm(
            f"the progressive JPEG has {scans} scans, films have ten or so, {MOST_SCANS} are read; "
            "save the film again as PNG or as a plain JPEG"
        )


def _grey_pixels(image: Image.Image, *, photographs: bool) -> tuple[Pixels, list[str]]:
    """A loaded picture of any mode -> (H, W) float32 in its own grey values, and notes.

    The picture is closed as soon as it is converted: of a large film there are few copies at once.
    """
    notes: list[str] = []
    if image.mode in _GREY:
        return _as_float(image), notes
    if image.mode in _WITH_ALPHA or (image.mode == "P" and "transparency" in image.info):
        image = _converted(image, "RGBA")
        notes += _lay_over_black(image)
    elif image.mode != "RGB":
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
    """A grey picture -> (H, W) float32; closed after it."""
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
    return ["transparent parts were laid over black"]


def _bands(image: Image.Image) -> Iterator[tuple[int, int]]:
    """Rows (top, bottom) of parts of a picture, each of about `_BAND` pixels."""
    rows = max(1, _BAND // image.width)
    return ((top, min(image.height, top + rows)) for top in range(0, image.height, rows))


def _finite(pixels: Pixels, notes: list[str]) -> Pixels:
    """Replace what is not a number (float TIFF) by the darkest value there is."""
    bad = ~np.isfinite(pixels)
    if not bad.any():
        return pixels
    if bad.all():
        raise UnsuitableFilm("no pixel of the film is a finite number; export it again")
    notes.append(f"{int(bad.sum())} pixels were no finite numbers; they were made black")
    return np.where(bad, pixels[~bad].min(), pixels)
