"""Reading mask files: pictures, NIfTI files, numpy arrays, DICOM segmentations, annotations.

A mask holds integers, and each value stands for a structure; or its structures have names, as in
annotation files (COCO, Labelme, CVAT) and DICOM segmentations. The first bytes decide the format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.errors import UnreadableFilm
from pleura.io.annotations.read import ANNOTATION_SUFFIXES, read_annotations
from pleura.io.decoding import decoding
from pleura.io.images.exif import orientation, turn
from pleura.io.sniff import gzip_head, is_dicom, is_nifti

__all__ = ["MaskFile", "distinct_values", "read_mask"]

_NUMPY = b"\x93NUMPY"
_HEAD = 1024  # bytes that are enough to recognise every format
_BRIGHT = 128  # of 255; a brighter colour looks like a structure, not like background

PLAIN_MODES = ("L", "P", "1", "I;16", "I")
"""Pillow's modes whose values are used as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskFile:
    """The content of a mask file."""

    values: NDArray[np.integer[Any]]
    """(H, W): grey levels, integers, or palette indices; 1-bit masks hold 0 and 1."""

    greys: NDArray[np.uint8] | None = None
    """(H, W): the displayed grey levels, if the picture has a grey palette; else None."""

    bright_ground: bool = False
    """Whether a palette shows the value 0, the background, as bright."""

    lossy: bool = False
    """Whether it is a JPEG picture, whose edges are blurred."""

    turned: int = 1
    """The EXIF orientation that was applied, 1 to 8."""

    colours: NDArray[np.uint32] | None = None
    """(H, W): red * 65536 + green * 256 + blue, 0 where transparent; None for grey pictures."""

    structures: Mapping[str, Mask] = field(default_factory=dict)
    """The masks of a file whose structures have names, (H, W) bool; they may overlap."""

    @property
    def names(self) -> list[str]:
        """The names of the structures, or the colours but black, the most frequent first."""
        if self.colours is None:
            return list(self.structures)
        colours, counts = np.unique(self.colours, return_counts=True)
        return [f"#{colours[index]:06x}" for index in np.argsort(-counts) if colours[index]]

    def structure(self, name: str) -> Mask:
        """The mask of a named structure or of a colour `#rrggbb`; empty if it does not occur."""
        if name.startswith("#") and self.colours is not None:
            coloured: Mask = self.colours == int(name[1:], 16)
            return coloured
        return self.structures.get(name, np.zeros(self.values.shape, np.bool_))

    def read_as(self, declared: set[int]) -> NDArray[np.integer[Any]]:
        """(H, W): `greys` or `values`, whichever holds more of the declared values.

        If no values are declared, `greys` are used, as the order of palette indices is arbitrary.
        """
        if self.greys is None:
            return self.values
        in_values = len(declared & set(distinct_values(self.values)))
        in_greys = len(declared & set(distinct_values(self.greys)))
        return self.greys if in_greys > in_values or not declared else self.values


def read_mask(path: Path, film: str = "") -> MaskFile:
    """Read a mask; `film` is the film's name in an annotation file, which may hold several.

    Raises:
        UnreadableFilm, UnsuitableFilm: not a mask format, damaged, or with fractional values.
    """
    if path.suffix.lower() in ANNOTATION_SUFFIXES:
        return _annotated(path, film)
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
            stream.seek(0)
            if head.startswith(_NUMPY):
                return MaskFile(_integers(_array(path)))
            if is_nifti(head) or is_nifti(gzip_head(head, _HEAD)):
                from pleura.io.images.nifti import nifti_values  # imports nibabel

                return MaskFile(_integers(nifti_values(stream)))
            if is_dicom(head):
                from pleura.io.dicom.masks import dicom_mask  # imports pydicom

                values, structures = dicom_mask(stream)
                return MaskFile(_integers(values), structures=structures)
            with decoding("mask", alone=False):
                return _picture(stream)
    except OSError as error:
        raise UnreadableFilm(f"cannot be opened ({error.strerror or error})") from error


def _annotated(path: Path, film: str) -> MaskFile:
    films = read_annotations(path)
    if films is None:
        raise UnreadableFilm("no annotation file of COCO, Labelme or CVAT")
    annotated = next((entry for entry in films if entry.name == film), None)
    if annotated is None:
        raise UnreadableFilm(f"no annotations of {film}")
    values = np.zeros((annotated.height, annotated.width), np.uint8)
    structures = annotated.masks()
    for mask in structures.values():
        values[mask] = 1
    return MaskFile(values, structures=structures)


def _array(path: Path) -> NDArray[Any]:
    with decoding("numpy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        flat = array.reshape([side for side in array.shape if side != 1])
        if flat.ndim != 2:
            raise UnreadableFilm(f"the array has the shape {array.shape}; expected (rows, columns)")
        return np.array(flat)


def _integers(values: NDArray[Any]) -> NDArray[np.integer[Any]]:
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            integers = values.astype(np.int32)
        if not np.array_equal(integers, values):
            raise UnreadableFilm(
                "its values are not integers; a mask has one integer for each structure"
            )
        return integers
    if values.dtype.kind not in "ui":
        raise UnreadableFilm(f"its values are of the type {values.dtype}; expected integers")
    return values


def _picture(stream: IO[bytes]) -> MaskFile:
    with Image.open(stream) as image:
        pictures = getattr(image, "n_frames", 1)
        if pictures > 1:
            raise UnreadableFilm(
                f"it holds {pictures} pictures, of which one would be read; save one picture "
                "with a value for each structure"
            )
        tag = orientation(image) if image.format == "TIFF" else 1  # Pillow turns it while loading
        image.load()
        tag = tag if image.format == "TIFF" else orientation(image)
        # The palette indices of a GIF are arbitrary; its displayed greys count.
        plain = image.mode in PLAIN_MODES and image.format != "GIF"
        values = np.asarray(image if plain else _as_grey(image))
        values = values.astype(np.uint8) if values.dtype == np.bool_ else values
        colours = _colours(image)
        greys, bright = _palette(image, values) if plain and image.mode == "P" else (None, False)
        if image.format != "TIFF":
            values = turn(values, tag)
            greys = None if greys is None else turn(greys, tag)
            colours = None if colours is None else turn(colours, tag)
        return MaskFile(values, greys, bright, image.format == "JPEG", tag, colours)


def _colours(image: Image.Image) -> NDArray[np.uint32] | None:
    """(H, W) red * 65536 + green * 256 + blue, 0 where transparent; None if all are grey."""
    if image.mode not in ("P", "RGB", "RGBA"):
        return None
    samples = np.asarray(image.convert("RGBA"), np.uint32)
    red, green, blue, alpha = np.moveaxis(samples, -1, 0)
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return None
    packed: NDArray[np.uint32] = np.where(alpha == 0, 0, red << 16 | green << 8 | blue)
    return packed


def _as_grey(image: Image.Image) -> Image.Image:
    """The grey levels of a picture in colour or with alpha; 0 where it is transparent."""
    if "A" not in image.getbands():
        return image.convert("L")
    grey, alpha = image.convert("RGBA").convert("L"), image.getchannel("A")
    if alpha.getextrema()[0] == alpha.getextrema()[1]:
        return grey
    if grey.getextrema()[0] == grey.getextrema()[1]:
        raise UnreadableFilm(
            "its shape is in the alpha channel only, and its colour is the same everywhere; "
            "save it as a grey picture with 0 as the background"
        )
    opaque = np.where(np.asarray(alpha) == 0, 0, np.asarray(grey))
    return Image.fromarray(opaque.astype(np.uint8))


def _palette(image: Image.Image, indices: NDArray[Any]) -> tuple[NDArray[np.uint8] | None, bool]:
    """The displayed greys if the palette is grey, and whether it shows the value 0 as bright."""
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
    """The values that occur, in ascending order."""
    if values.dtype == np.uint8:
        return [int(level) for level in np.flatnonzero(np.bincount(values.ravel(), minlength=256))]
    return [int(value) for value in np.unique(values)]
