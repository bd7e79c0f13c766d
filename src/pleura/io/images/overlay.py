"""Pictures of a result: the overlay, and the film cut to its lungs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from pleura.core.arrays import Pixels
from pleura.core.masks.overlay import paint
from pleura.core.types import Box, Segmentation
from pleura.io.images.caption import captioned
from pleura.io.images.write_masks import save_png

__all__ = [
    "COMPRESSION",
    "CROP_MARGIN",
    "crop_box",
    "marked_overlay",
    "overlay_image",
    "overlay_options",
    "write_crop",
    "write_overlay",
]

CROP_MARGIN = 0.05
"""Around the lungs' box, as a share of its longer side; the film's edge ends it."""

COMPRESSION = 4
"""Of an overlay, zlib's: of 20 megapixels in 0.9 s where 6 takes 2.1, an eighth more bytes."""

_FINE_ENOUGH = 64  # grey values; with fewer, rounding to integers would show


def write_overlay(segmentation: Segmentation, stem: Path) -> list[Path]:
    """The film with the lungs outlined and lightly filled: right #0072B2, left #D55E00.

    Rows below the film hold a legend, and the verdict if that is not `ok`. The PNG's text field
    `pleura:film` holds the rows and columns that are the film's, which come first.
    """
    path = stem.with_name(f"{stem.name}_overlay.png")
    return [save_png(marked_overlay(segmentation), path, **overlay_options(segmentation))]


def overlay_options(segmentation: Segmentation) -> dict[str, Any]:
    """How an overlay is saved as PNG, the same at every door."""
    text = PngImagePlugin.PngInfo()
    text.add_text("pleura:film", "{},{}".format(*segmentation.radiograph.size))
    return {"compress_level": COMPRESSION, "pnginfo": text}


def marked_overlay(segmentation: Segmentation) -> Image.Image:
    """The overlay as it leaves Pleura: the film's rows, then those of its legend and verdict."""
    return captioned(overlay_image(segmentation), segmentation)


def overlay_image(segmentation: Segmentation) -> Image.Image:
    """The film in RGB with the lungs outlined and lightly filled, of the film's own size."""
    film = segmentation.radiograph.pixels
    painted = paint(
        film,
        segmentation.right,
        segmentation.left,
        heart=segmentation.heart,
        widths=segmentation.measurements.cardiothoracic_ratio is not None,
    )
    return Image.fromarray(painted)


def write_crop(segmentation: Segmentation, stem: Path) -> list[Path]:
    """The film cut to the lungs and a margin; nothing where no lung was found.

    Grey values are the film's own in 8 or 16 bits; only those that fit neither (negative, or
    fractions of a narrow range) are stretched to 16 bits. The PNG's text field `pleura:box` holds
    the rows and columns it was cut from: top, left, bottom, right.
    """
    box = crop_box(segmentation)
    if box is None:
        return []
    grey = _grey_levels(segmentation.radiograph.pixels)[box.top : box.bottom, box.left : box.right]
    text = PngImagePlugin.PngInfo()
    text.add_text("pleura:box", f"{box.top},{box.left},{box.bottom},{box.right}")
    image = Image.fromarray(np.ascontiguousarray(grey))
    return [save_png(image, stem.with_name(f"{stem.name}_crop.png"), pnginfo=text)]


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
    """(H, W) uint8 or uint16: the film's own values where they fit, else stretched to 16 bits."""
    low, high = float(pixels.min()), float(pixels.max())
    rounded = np.rint(pixels)
    fine = high - low >= _FINE_ENOUGH or np.array_equal(rounded, pixels)
    if low >= 0 and high <= 65535 and fine:
        return rounded.astype(np.uint8 if high <= 255 else np.uint16)
    stretched: NDArray[Any] = np.rint((pixels - low) * (65535 / (high - low)))
    return stretched.astype(np.uint16)
