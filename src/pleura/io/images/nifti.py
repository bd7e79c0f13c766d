"""Reading a film or a label map from a NIfTI file.

A NIfTI array is indexed (x, y): the first axis runs along a row, from the viewer's left to the
right, the second down the columns. ITK (SimpleITK, nnU-Net, MONAI) writes a picture in this order,
and so does Pleura; pixels are the transposed array. The affine is not used, since it has no agreed
meaning for a projection: the spacing is pixdim.
"""

from __future__ import annotations

import gzip
from typing import IO, Any

import nibabel
import numpy as np

from pleura.core.arrays import Pixels
from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.core.types import Radiograph, Spacing
from pleura.io.decoding import decoding
from pleura.io.film_checks import (
    MAX_PIXELS,
    all_finite,
    check_contrast,
    check_size,
    plausible_spacing,
)
from pleura.io.sniff import NIFTI_MAGICS

__all__ = ["nifti_values", "read_nifti"]

_KINDS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
_UNIT_MM = {"meter": 1000.0, "micron": 0.001}


def read_nifti(stream: IO[bytes], *, most_pixels: int = MAX_PIXELS) -> Radiograph:
    """Read a film from an open NIfTI file, gzipped or not: (W, H), (W, H, 1) and so on.

    Writers put a pixdim of exactly 1 x 1 mm for an unknown spacing; it is read as None.
    Raises `UnsuitableFilm` for volumes, `UnreadableFilm` for damage.
    """
    with decoding("NIfTI") as state:
        header, pixels = _picture(stream, most_pixels)
        pixels = all_finite(pixels, state.notes)
        check_contrast(pixels)
        spacing = _spacing(header, state.notes, size=(pixels.shape[0], pixels.shape[1]))
    return Radiograph(pixels, spacing=spacing, notes=tuple(state.notes))


def nifti_values(stream: IO[bytes], *, most_pixels: int = MAX_PIXELS) -> Pixels:
    """(H, W) values of a NIfTI file of one picture, such as a label map.

    Raises as `read_nifti`.
    """
    with decoding("NIfTI"):
        return _picture(stream, most_pixels)[1]


def _picture(stream: IO[bytes], most_pixels: int) -> tuple[Any, Pixels]:
    """The header and the (H, W) values of an open file."""
    if stream.read(2) == b"\x1f\x8b":
        stream.seek(0)
        stream = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    stream.seek(0)
    header = _header(stream)
    width, height = _film_shape(header)
    check_size(height, width, most=most_pixels)
    values = _values(header, stream)
    return header, np.ascontiguousarray(values.reshape((width, height), order="F").T)


def _header(stream: IO[bytes]) -> Any:
    """The header, read without nibabel's checks, which write to a log."""
    block = stream.read(540)
    for size, (where, single, _) in NIFTI_MAGICS.items():
        if block[where] == single:
            return _KINDS[size](block[:size], check=False)  # type: ignore[no-untyped-call]
    raise UnreadableFilm(
        "this is the header of a NIfTI pair (.hdr and .img); convert it to a single .nii file"
    )


def _film_shape(header: Any) -> tuple[int, int]:
    shape = header.get_data_shape()
    if min(shape, default=0) < 1:
        raise UnreadableFilm(
            f"the NIfTI file states the shape {' x '.join(map(str, shape))}: it is damaged; "
            "copy or export it again"
        )
    if len(shape) < 2 or any(extent != 1 for extent in shape[2:]):
        raise UnsuitableFilm(
            f"the NIfTI file has the shape {' x '.join(map(str, shape))}, a volume or a series; "
            "expected one film: width x height, or width x height x 1"
        )
    if header.get_data_dtype().kind not in "iuf":
        raise UnsuitableFilm("the NIfTI file holds colour or complex values; expected grey ones")
    return int(shape[0]), int(shape[1])


def _values(header: Any, stream: IO[bytes]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The scaled values of all pixels in the file's order, the first axis fastest."""
    dtype, shape = header.get_data_dtype(), header.get_data_shape()
    expected = dtype.itemsize * int(np.prod(shape))
    # Some writers leave the offset at 0, which is where the header begins.
    stream.seek(max(int(header["vox_offset"]), int(header["sizeof_hdr"]) + 4))
    data = stream.read(expected)
    if len(data) < expected:
        raise UnreadableFilm(
            f"this NIfTI file is cut short: {len(data)} of {expected} bytes of pixels; "
            "copy it again"
        )
    slope, intercept = header.get_slope_inter()
    values = np.frombuffer(data, dtype).astype(np.float32)
    if slope in (None, 0.0, 1.0) and not intercept:
        return values
    return values * np.float32(slope or 1.0) + np.float32(intercept or 0.0)


def _spacing(header: Any, notes: list[str], *, size: tuple[int, int]) -> Spacing | None:
    col_mm, row_mm = (float(side) for side in header.get_zooms()[:2])
    scale = _UNIT_MM.get(header.get_xyzt_units()[0], 1.0)
    if not (0 < row_mm < np.inf and 0 < col_mm < np.inf) or (row_mm, col_mm) == (1.0, 1.0):
        return None
    spacing = Spacing(row_mm * scale, col_mm * scale, "pixdim")
    if not plausible_spacing(spacing, size=size):
        notes.append(
            f"pixdim of {row_mm:g} x {col_mm:g} is implausible for a chest film; it was ignored"
        )
        return None
    return spacing
