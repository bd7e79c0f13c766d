"""Reading mask files: pictures, NIfTI, numpy arrays and DICOM segmentations -> whole numbers.

Each value stands for a structure. The first bytes of a file tell its format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.errors import UnreadableFilm
from pleura.io.decoding import decoding
from pleura.io.images.exif import orientation, turn
from pleura.io.sniff import gzip_head, is_dicom, is_nifti

__all__ = ["MaskFile", "distinct_values", "read_mask"]

_NUMPY = b"\x93NUMPY"
_HEAD = 1024  # bytes that tell every format apart
_BRIGHT = 128  # of 255, from which a colour looks like a mark and not like ground

PLAIN_MODES = ("L", "P", "1", "I;16", "I")
"""Pillow's modes whose values are taken as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskFile:
    """What a mask file holds."""

    values: NDArray[np.integer[Any]]
    """(H, W): grey levels, numbers, or a palette's indices; 1-bit masks hold 0 and 1."""

    greys: NDArray[np.uint8] | None = None
    """(H, W): what the picture looks like, where its palette is grey."""

    bright_ground: bool = False
    """Whether a palette shows the value 0, which means nothing, as bright."""

    lossy: bool = False
    """Whether it is a JPEG picture, whose edges are blurred."""

    turned: int = 1
    """The EXIF orientation that was followed, 1 to 8."""

    def read_as(self, declared: set[int]) -> NDArray[np.integer[Any]]:
        """(H, W): `greys` or `values`, whichever holds the values that are declared.

        Where nothing is declared, a grey palette counts: the order of its indices means nothing.
        """
        if self.greys is None:
            return self.values
        held = [len(declared & set(distinct_values(each))) for each in (self.values, self.greys)]
        return self.greys if held[1] > held[0] or not declared else self.values


def read_mask(path: Path) -> MaskFile:
    """Read a mask.

    Raises:
        UnreadableFilm, UnsuitableFilm: no format of a mask, damaged, or no whole numbers.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            stream.seek(0)
            if head.startswith(_NUMPY):
                return MaskFile(_whole(_array(path)))
            if is_nifti(head) or is_nifti(gzip_head(head, _HEAD)):
                from pleura.io.images.nifti import nifti_values  # nibabel, for these masks alone

                return MaskFile(_whole(nifti_values(stream)))
            if is_dicom(head):
                from pleura.io.dicom.masks import dicom_values  # pydicom, likewise

                return MaskFile(_whole(dicom_values(stream)))
            with decoding("mask", alone=False):
                return _picture(stream)
    except OSError as error:
        raise UnreadableFilm(f"cannot be opened ({error.strerror or error})") from error


def _array(path: Path) -> NDArray[Any]:
    with decoding("numpy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        flat = array.reshape([side for side in array.shape if side != 1])
        if flat.ndim != 2:
            raise UnreadableFilm(f"the array has the shape {array.shape}; expected (rows, columns)")
        return np.array(flat)


def _whole(values: NDArray[Any]) -> NDArray[np.integer[Any]]:
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = values.astype(np.int32)
        if not np.array_equal(whole, values):
            raise UnreadableFilm("its values are no whole numbers; a mask has a value a structure")
        return whole
    if values.dtype.kind not in "ui":
        raise UnreadableFilm(f"its values are of the type {values.dtype}; expected whole numbers")
    return values


def _picture(stream: IO[bytes]) -> MaskFile:
    with Image.open(stream) as image:
        turned = orientation(image) if image.format == "TIFF" else 1  # it turns while loading
        image.load()
        said = turned if image.format == "TIFF" else orientation(image)
        # The indices of a GIF's palette have no meaning; only its greys do.
        plain = image.mode in PLAIN_MODES and image.format != "GIF"
        values = np.asarray(image if plain else _shown(image))
        values = values.astype(np.uint8) if values.dtype == np.bool_ else values
        greys, bright = _palette(image, values) if plain and image.mode == "P" else (None, False)
        if image.format != "TIFF":
            values = turn(values, said)
            greys = None if greys is None else turn(greys, said)
        return MaskFile(values, greys, bright, image.format == "JPEG", said)


def _shown(image: Image.Image) -> Image.Image:
    """The greys of a picture in colour or with alpha, nothing where it is transparent."""
    if "A" not in image.getbands():
        return image.convert("L")
    grey, alpha = image.convert("RGBA").convert("L"), image.getchannel("A")
    if alpha.getextrema()[0] == alpha.getextrema()[1]:
        return grey
    if grey.getextrema()[0] == grey.getextrema()[1]:
        raise UnreadableFilm(
            "its shape lies in the alpha channel alone, and its colour is everywhere the same; "
            "save it as a grey picture, 0 where there is nothing"
        )
    seen = np.where(np.asarray(alpha) == 0, 0, np.asarray(grey))
    return Image.fromarray(seen.astype(np.uint8))


def _palette(image: Image.Image, indices: NDArray[Any]) -> tuple[NDArray[np.uint8] | None, bool]:
    """What a palette shows where it is grey, and whether it shows the value 0 as bright."""
    used = distinct_values(indices)
    colours = np.frombuffer(image.palette.tobytes() if image.palette else b"", np.uint8)
    colours = np.asarray(image.getpalette("RGB") or colours, np.uint8).reshape(-1, 3)
    if not used or used[-1] >= len(colours):
        return None, False
    shown = colours[used].astype(int)
    if (np.ptp(shown, axis=1) == 0).all() and len(set(shown[:, 0])) == len(used):
        return colours[:, 0][indices], False
    return None, bool(used[0] == 0 and shown[0].mean() >= _BRIGHT)


def distinct_values(values: NDArray[Any]) -> list[int]:
    """The values that occur, in order."""
    if values.dtype == np.uint8:
        return [int(each) for each in np.flatnonzero(np.bincount(values.ravel(), minlength=256))]
    return [int(each) for each in np.unique(values)]
