"""Turning a picture upright by its EXIF or TIFF orientation; invalid tags are ignored."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.errors import FilmError
from pleura.io.decoding import decoding

__all__ = ["TURNED", "orientation", "orientation_of_file", "turn"]

ORIENTATION = 0x0112
"""The tag, in EXIF and in TIFF."""

TURNED = "turned by the EXIF orientation of the file; so are the masks"
"""The note on a film that was turned."""


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, which means upright, also without a valid tag."""
    try:
        tag = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data can raise errors of any class in Pillow
        return 1
    return tag if isinstance(tag, int) and 1 < tag <= 8 else 1


def orientation_of_file(path: Path) -> int:
    """The `orientation` of a file; 1 for files that are not pictures."""
    with suppress(FilmError), decoding("picture", alone=False), Image.open(path) as image:
        return orientation(image)
    return 1


def turn(pixels: NDArray[Any], tag: int) -> NDArray[Any]:
    """(H, W) pixels as stored -> as they are displayed, for orientation `tag` (1 to 8)."""
    if tag in (5, 6, 7, 8):
        pixels = pixels.T
    across, down = tag in (2, 3, 6, 7), tag in (3, 4, 7, 8)
    turned = pixels[:: -1 if down else 1, :: -1 if across else 1]
    return np.ascontiguousarray(turned)
