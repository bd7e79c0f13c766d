"""Reading a label map from a DICOM segmentation, or from a mask in a DICOM picture."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from pleura.core.errors import UnreadableFilm
from pleura.io.decoding import decoding

__all__ = ["dicom_values"]


def dicom_values(stream: IO[bytes]) -> NDArray[np.integer[Any]]:
    """(H, W) values of an open file: its pixels, or the number of the segment at each.

    The frames of a segmentation are its segments; where they overlap, the segment with the lower
    number counts.
    """
    with decoding("DICOM", quote=False):
        mask = dcmread(stream, force=True)
        pixels = np.asarray(mask.pixel_array)
        if mask.get("SOPClassUID") != SegmentationStorage:
            if pixels.ndim != 2:
                raise UnreadableFilm(
                    f"the DICOM pixels have the shape {pixels.shape}; expected (rows, columns)"
                )
            return pixels
        if mask.SegmentationType != "BINARY":
            raise UnreadableFilm("the DICOM segmentation holds probabilities; export a binary one")
        return _labels(pixels.reshape(-1, *pixels.shape[-2:]), _segments(mask))


def _segments(mask: Dataset) -> list[int]:
    """The number of the segment that each frame shows."""
    return [
        int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for frame in mask.PerFrameFunctionalGroupsSequence
    ]


def _labels(frames: NDArray[Any], segments: list[int]) -> NDArray[np.uint8]:
    labels = np.zeros(frames.shape[1:], np.uint8)
    for frame, number in sorted(
        zip(frames, segments, strict=True), key=lambda pair: pair[1], reverse=True
    ):
        labels[frame > 0] = number
    return labels
