"""Writing the overlay, and the film cropped to its lungs."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from pleura.core.arrays import Pixels
from pleura.core.masks.overlay import paint
from pleura.core.types import Box, Segmentation
from pleura.io.images.write.caption import captioned

__all__ = [
    "COMPRESSION",
    "CROP_MARGIN",
    "crop_box",
    "marked_overlay",
    "overlay_image",
    "write_crop",
    "write_overlay",
    "write_overlay_jpeg",
]

CROP_MARGIN = 0.05
"""The margin around the lungs' box, as a share of its longer side."""

COMPRESSION = 4
"""zlib's level for overlays: 20 megapixels take 0.9 s, against 2.1 s at level 6, and the file is an
eighth larger."""

JPEG_QUALITY = 90
"""Pillow's quality for overlays as JPEG. Colours have the full resolution: outlines are thin."""

_FINE_RANGE = 64  # grey values; in a smaller range, rounding to integers would be visible


def write_overlay(segmentation: Segmentation, file: IO[bytes]) -> None:
    """Write the film with the lungs outlined and lightly filled: right #0072B2, left #D55E00.

    Rows below the film hold a legend, and the verdict if it is not `ok`. The PNG's text field
    `pleura:film` holds the numbers of rows and columns of the film itself, which come first.
    """
    text = PngImagePlugin.PngInfo()
    text.add_text("pleura:film", "{},{}".format(*segmentation.radiograph.size))
    marked_overlay(segmentation).save(file, "PNG", compress_level=COMPRESSION, pnginfo=text)


def write_overlay_jpeg(segmentation: Segmentation, file: IO[bytes]) -> None:
    """Write the picture of `write_overlay` as JPEG, in about a quarter of the time of the PNG.

    The comment of the file, `pleura:film ROWS,COLUMNS`, takes the place of the text field.
    """
    comment = "pleura:film {},{}".format(*segmentation.radiograph.size)
    marked_overlay(segmentation).save(
        file, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4", comment=comment
    )


def marked_overlay(segmentation: Segmentation) -> Image.Image:
    """The overlay with its caption: the film's rows, then those of legend and verdict."""
    return captioned(overlay_image(segmentation), segmentation)


def overlay_image(segmentation: Segmentation) -> Image.Image:
    """The film in RGB with the lungs outlined and lightly filled, at the film's size."""
    film = segmentation.radiograph.pixels
    painted = paint(
        film,
        segmentation.right,
        segmentation.left,
        heart=segmentation.heart,
        widths=segmentation.measurements.cardiothoracic_ratio is not None,
    )
    return Image.fromarray(painted)


def write_crop(segmentation: Segmentation, file: IO[bytes]) -> None:
    """Write the film cropped to the lungs and a margin; there must be a lung (`crop_box`).

    Grey values are the film's own in 8 or 16 bits; values that fit neither (negative ones, or
    fractions in a narrow range) are stretched to 16 bits. The PNG's text field `pleura:box` holds
    the crop's place in the film: top, left, bottom, right.
    """
    box = crop_box(segmentation)
    if box is None:
        raise ValueError("there is no crop of a film without lungs; ask crop_box first")
    grey = _grey_levels(segmentation.radiograph.pixels)[box.top : box.bottom, box.left : box.right]
    text = PngImagePlugin.PngInfo()
    text.add_text("pleura:box", f"{box.top},{box.left},{box.bottom},{box.right}")
    Image.fromarray(np.ascontiguousarray(grey)).save(file, "PNG", pnginfo=text)


def crop_box(segmentation: Segmentation) -> Box | None:
    """The box of both lungs with `CROP_MARGIN` around it, inside the film; None without lungs."""
    lungs = segmentation.measurements.lungs_box
    if lungs is None:
        return None
    height, width = segmentation.radiograph.size
    margin = round(CROP_MARGIN * max(lungs.height, lungs.width))
    return Box(
        top=max(0, lungs.top - margin),
        left=max(0, lungs.left - margin),
        bottom=min(height, lungs.bottom + margin),
        right=min(width, lungs.right + margin),
    )


def _grey_levels(pixels: Pixels) -> NDArray[Any]:
    """(H, W) uint8 or uint16: the film's own values if they fit, else stretched to 16 bits."""
    low, high = float(pixels.min()), float(pixels.max())
    rounded = np.rint(pixels)
    fine = high - low >= _FINE_RANGE or np.array_equal(rounded, pixels)
    if low >= 0 and high <= 65535 and fine:
        return rounded.astype(np.uint8 if high <= 255 else np.uint16)
    stretched: NDArray[Any] = np.rint((pixels - low) * (65535 / (high - low)))
    return stretched.astype(np.uint16)
