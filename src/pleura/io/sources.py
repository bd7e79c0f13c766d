"""Films from values of a Python program: paths, bytes, open files, Pillow pictures, arrays."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.errors import UnreadableFilm, UnsuitableFilm, UsageError
from pleura.core.types import Radiograph
from pleura.io.film_checks import check_contrast, check_size
from pleura.io.read import read_radiograph

__all__ = ["Source", "read_source"]

Source: TypeAlias = Path | str | bytes | BinaryIO | Image.Image | NDArray[Any]
"""A file's path, its bytes, or the file opened for reading in binary mode; a picture of Pillow; or
pixels in which brighter means denser, (H, W), or (H, W, 3) uint8 in RGB."""


def read_source(source: Source) -> Radiograph:
    """The film of a source; pictures and RGB pixels are read as a PNG file of them is.

    Raises:
        UnreadableFilm: an unknown image format, or a damaged file.
        UnsuitableFilm: an image, but no frontal chest film that can be segmented.
        UsageError: another type, or an array of another shape or dtype.
    """
    if isinstance(source, Path | str | bytes):
        return read_radiograph(source)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_picture(source)
    if hasattr(source, "read"):
        return _from_file(source)
    raise UsageError(
        "a film is a path, bytes, a file opened in binary mode, a picture of Pillow or an array, "
        f"not {type(source).__name__}; numpy.asarray makes an array of a tensor or a list"
    )


def _from_file(file: BinaryIO) -> Radiograph:
    content: object = file.read()
    if not isinstance(content, bytes):
        raise UsageError("the file is opened as text; open it in binary mode: open(path, 'rb')")
    return read_radiograph(content)


def _from_picture(picture: Image.Image) -> Radiograph:
    if picture.mode in ("F", "I"):  # PNG has no such pixels
        return _from_array(np.asarray(picture))
    file = BytesIO()
    try:
        picture.save(file, "PNG", compress_level=0)
    except (OSError, ValueError) as error:
        raise UnreadableFilm(f"the picture cannot be read: {error}") from error
    return read_radiograph(file.getvalue())


def _from_array(pixels: NDArray[Any]) -> Radiograph:
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        check_size(*pixels.shape[:2])
        return _from_picture(Image.fromarray(np.ascontiguousarray(pixels)))
    if pixels.ndim != 2 or pixels.dtype.kind not in "uif":
        raise UsageError(
            "pixels must be a (H, W) array of real numbers, or (H, W, 3) uint8 in RGB, got "
            f"{pixels.shape} {pixels.dtype}; pass one film at a time"
        )
    if np.ma.is_masked(pixels):
        raise UsageError("some pixels are masked; replace them first: film.filled(0)")
    check_size(*pixels.shape)
    grey = np.ascontiguousarray(pixels, dtype=np.float32)
    if not np.isfinite(grey).all():
        raise UnsuitableFilm("some pixels are nan or infinite; replace them first")
    check_contrast(grey)
    return Radiograph(grey)
