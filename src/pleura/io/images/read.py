"""Reading a film from a PNG, JPEG, TIFF, BMP or WebP file with Pillow.

The size in the header is checked against Pleura's own limit before a pixel is decoded; Pillow's
global limit is neither used nor changed. Resolution tags (pHYs, DPI) give the size of a print, not
of the chest, so the spacing is None.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import IO, cast

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from pleura.core.arrays import Pixels
from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.core.types import Radiograph
from pleura.io.decoding import decoding
from pleura.io.files.bounded_reads import BoundedReads
from pleura.io.film_checks import MAX_PIXELS, all_finite, check_contrast, check_size
from pleura.io.images.exif import TURNED, orientation, turn
from pleura.io.images.grey import GREY_MODES, OVER_BLACK, deep_to_grey, grey_pixels
from pleura.io.images.jpeg_scans import check_scans
from pleura.io.images.strip_metadata import strip_metadata
from pleura.io.images.tiff.pages import (
    ORIENTATION,
    PHOTOMETRIC,
    Page,
    at_page,
    choose_page,
    read_pages,
)
from pleura.io.images.tiff.samples import (
    RGB,
    WHITE_IS_ZERO,
    has_alpha,
    is_plain,
    read_samples,
    unsupported_variant,
)

__all__ = ["PLUGINS", "read_image"]

PLUGINS: dict[str, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
"""The reader of each format: `Image.open` tries every format, and warns of sizes allowed here."""

_PHOTOMETRIC = 262  # the TIFF tag; 0 is WhiteIsZero


def read_image(
    stream: IO[bytes],
    *,
    kind: str,
    most_pixels: int = MAX_PIXELS,
    photographs: bool = False,
) -> Radiograph:
    """Read a film from an open file of the format `kind`, a key of `PLUGINS`.

    Values may be integers or floating-point numbers; colours grey, RGB or palette, with or without
    alpha. Of several pages the film is read, not its thumbnail. With `photographs` colour
    photographs are read too. Raises `UnreadableFilm` or `UnsuitableFilm`.
    """
    read = _tiff_pixels if kind == "TIFF" else partial(_picture_pixels, kind=kind)
    with decoding(kind, alone=False) as state:
        pixels = read(stream, state.notes, most=most_pixels, photographs=photographs)
        check_contrast(pixels)
    return Radiograph(pixels, notes=tuple(state.notes))


def _picture_pixels(
    stream: IO[bytes], notes: list[str], *, kind: str, most: int, photographs: bool
) -> Pixels:
    before = len(notes)
    try:
        image = _opened(stream, kind)
        if image.info.get("progressive"):
            check_scans(stream)
        return _loaded(image, notes, most=most, photographs=photographs)
    except (ValueError, SyntaxError, OSError):
        stripped = strip_metadata(stream)
        if stripped is None:
            raise
    del notes[before:]
    image = _opened(stripped, kind)
    return _loaded(image, notes, most=most, photographs=photographs)


def _opened(stream: IO[bytes], kind: str) -> ImageFile.ImageFile:
    try:
        return PLUGINS[kind](_bounded(stream, kind))
    except Image.DecompressionBombError:  # raised by WebP before the size can be read
        raise UnsuitableFilm(
            f"the image is far larger than {MAX_PIXELS / 1e6:g} megapixels, the limit: "
            "make it smaller, lungs need no more than 2"
        ) from None


def _bounded(stream: IO[bytes], kind: str) -> IO[bytes]:
    """The stream; with a limit on reads if Pillow reads the format in many small pieces."""
    return cast(IO[bytes], BoundedReads(stream)) if kind in ("PNG", "JPEG") else stream


def _tiff_pixels(stream: IO[bytes], notes: list[str], *, most: int, photographs: bool) -> Pixels:
    pages, is_complete = read_pages(stream)
    if not pages or 0 in pages[0][0].size:
        return _loaded(PLUGINS["TIFF"](stream), notes, most=most, photographs=photographs)
    page, more = choose_page(pages)
    if not (page.is_film or is_complete):
        raise UnreadableFilm(
            "this TIFF file holds a small copy of its picture, and the picture itself is damaged "
            "or cut off; copy or export it again"
        )
    check_size(*page.size, most=most)
    notes += more
    if not is_plain(page):
        return _unusual_tiff_pixels(stream.read(), page, notes, photographs=photographs)
    try:
        image = PLUGINS["TIFF"](stream if page is pages[0][0] else at_page(stream, page))
    except (SyntaxError, KeyError, ValueError, OSError):
        raise unsupported_variant(page) from None
    return _loaded(image, notes, most=most, photographs=photographs)


def _unusual_tiff_pixels(
    content: bytes, page: Page, notes: list[str], *, photographs: bool
) -> Pixels:
    """The pixels of a TIFF page that Pillow does not read."""
    samples = read_samples(content, page)
    if has_alpha(page) and (samples[..., -1] == 0).any():
        samples = np.where(samples[..., -1:] == 0, samples[..., :-1].min(), samples[..., :-1])
        notes.append(OVER_BLACK)
    pixels: Pixels = samples[..., 0].astype(np.float32)
    if page.value(PHOTOMETRIC, 1) == RGB and samples.shape[2] > 2:
        pixels, more = deep_to_grey(samples[..., :3].astype(np.float32), photographs=photographs)
        notes += more
    pixels = all_finite(pixels, notes)
    if page.value(PHOTOMETRIC, 1) == WHITE_IS_ZERO:
        pixels = _inverted(pixels)
    tag = page.value(ORIENTATION, 1)
    if 1 < tag <= 8:
        notes.append(TURNED)
        pixels = turn(pixels, tag)
    return pixels


def _loaded(
    image: ImageFile.ImageFile, notes: list[str], *, most: int, photographs: bool
) -> Pixels:
    """The pixels of an opened picture."""
    check_size(image.height, image.width, most=most)
    _check_mode(image)
    notes += _page_notes(image)
    white_is_zero = _is_white_zero(image)
    tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    tag = orientation(image) if tiff else 1  # Pillow turns TIFF while it loads it
    image.load()
    tag = tag if tiff else orientation(image)
    if tag != 1:
        notes.append(TURNED)
    is_float = image.mode == "F"
    pixels, more = grey_pixels(image, photographs=photographs)
    notes += more
    if is_float:
        pixels = all_finite(pixels, notes)
    if tag != 1 and not tiff:
        pixels = turn(pixels, tag)
    return _inverted(pixels) if white_is_zero else pixels


def _inverted(pixels: Pixels) -> Pixels:
    """Swap low and high values, in the same range, in place."""
    np.subtract(pixels.max() + pixels.min(), pixels, out=pixels)
    return pixels


def _check_mode(image: ImageFile.ImageFile) -> None:
    if image.mode == "1":
        raise UnsuitableFilm(
            "the image has 1 bit a pixel, black or white, as a mask or a fax has; "
            "give the film itself, with 8 bits or more"
        )


def _page_notes(image: ImageFile.ImageFile) -> list[str]:
    notes = []
    tiff = isinstance(image, TiffImagePlugin.TiffImageFile)  # its pages were counted before
    pages = 1 if tiff else getattr(image, "n_frames", 1)
    if pages > 1:
        notes.append(f"the file holds {pages} pages; the first was read")
    if image.mode not in GREY_MODES and any(";16" in str(tile.args) for tile in image.tile):
        notes.append("16-bit colour was read with 8 bits")
    return notes


def _is_white_zero(image: ImageFile.ImageFile) -> bool:
    """Whether high values are dark: Pillow inverts such TIFF files itself, but only of 8 bits."""
    tags = getattr(image, "tag_v2", {})
    return image.mode != "L" and image.mode in GREY_MODES and tags.get(_PHOTOMETRIC) == 0
