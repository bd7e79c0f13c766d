"""Reading masks from a DICOM segmentation, or from a DICOM picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from pleura.core.arrays import Mask
from pleura.core.errors import UnreadableFilm
from pleura.io.decoding import decoding
from pleura.io.dicom.objects.common import DEFINITION_TEXTS

__all__ = ["dicom_mask", "segments_in"]

HALF = 0.5
"""The share of the largest value from which a pixel of a fractional segment is labelled."""


def segments_in(path: Path) -> tuple[str, ...] | None:
    """The names of the segments of a DICOM segmentation; None for other DICOM files.

    A name is the segment's label. Pleura states the definition of a lung in the description; for
    `whole` it is added: `Right lung, whole`.

    Raises:
        UnreadableFilm: a damaged file.
    """
    with path.open("rb") as stream, decoding("DICOM", quote=False):
        header = dcmread(stream, force=True, stop_before_pixels=True)
        return tuple(_names(header).values()) if _is_segmentation(header) else None


def dicom_mask(stream: IO[bytes]) -> tuple[NDArray[np.integer[Any]], dict[str, Mask]]:
    """(H, W) values of an open file, and the mask of each segment by its name, (H, W) bool.

    The values are those of the pixels, or the number of the segment at each; where segments
    overlap, that with the lower number counts. A pixel belongs to a segment of probabilities from
    0.5. Segments of the same name are joined.
    """
    with decoding("DICOM", quote=False):
        mask = dcmread(stream, force=True)
        pixels = np.asarray(mask.pixel_array)
        if not _is_segmentation(mask):
            if pixels.ndim != 2:
                raise UnreadableFilm(
                    f"the DICOM pixels have the shape {pixels.shape}; expected (rows, columns)"
                )
            return pixels, {}
        values = np.zeros((mask.Rows, mask.Columns), np.uint16)
        structures: dict[str, Mask] = {}
        for number, name in sorted(_names(mask).items(), reverse=True):
            area = np.zeros(values.shape, np.bool_)
            for frame in _frames(mask, pixels, number):
                area |= frame
            values[area] = number
            structures[name] = structures[name] | area if name in structures else area
        return values, structures


def _is_segmentation(header: Dataset) -> bool:
    return "SegmentSequence" in header  # Segmentation Storage, and that of label maps


def _names(header: Dataset) -> dict[int, str]:
    """Number -> name of each segment; the background of a label map is not a segment."""
    names = {}
    for segment in header.SegmentSequence:
        whole = str(segment.get("SegmentDescription", "")).startswith(DEFINITION_TEXTS["whole"])
        names[int(segment.SegmentNumber)] = f"{segment.SegmentLabel}{', whole' * whole}"
    names.pop(0, None)
    return names


def _frames(mask: Dataset, pixels: NDArray[Any], number: int) -> Iterator[Mask]:
    """The areas of a segment, one a frame."""
    frames = pixels.reshape(-1, mask.Rows, mask.Columns)
    if mask.SegmentationType == "LABELMAP":
        yield from (frame == number for frame in frames)
        return
    lowest = HALF * mask.MaximumFractionalValue if mask.SegmentationType == "FRACTIONAL" else 1
    shown = zip(frames, mask.PerFrameFunctionalGroupsSequence, strict=True)
    for frame, groups in shown:
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
            yield frame >= lowest
