"""Writing masks and label maps as PNG, npy and NIfTI files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.masks.overlay import HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Segmentation, Spacing
from pleura.io.files.atomic import atomic_write
from pleura.io.images.write.png import flat_png

__all__ = [
    "HEART",
    "LEFT",
    "RIGHT",
    "label_colours",
    "label_map",
    "labels_png",
    "mask_png",
    "write_nifti",
    "write_npy",
]

RIGHT, LEFT, HEART = 1, 2, 3
"""Values of the label map; 0 is the background."""

_PALETTE = (*(0, 0, 0), *RIGHT_COLOUR, *LEFT_COLOUR, *HEART_COLOUR)  # as in the overlay


def label_map(segmentation: Segmentation) -> NDArray[np.uint8]:
    """(H, W) uint8: 1 right lung, 2 left lung, 3 heart outside the lungs, 0 background."""
    labels = np.zeros(segmentation.right.shape, np.uint8)
    if segmentation.heart is not None:
        labels[segmentation.heart] = HEART
    labels[segmentation.right] = RIGHT
    labels[segmentation.left] = LEFT
    return labels


def label_colours() -> dict[int, str]:
    """The colour of each value of the label map, as #RRGGBB; those of the overlay."""
    colours = {RIGHT: RIGHT_COLOUR, LEFT: LEFT_COLOUR, HEART: HEART_COLOUR}
    return {label: "#{:02X}{:02X}{:02X}".format(*colour) for label, colour in colours.items()}


def labels_png(segmentation: Segmentation) -> bytes:
    """The label map as a palette PNG."""
    return flat_png(label_map(segmentation), palette=_PALETTE)


def mask_png(mask: Mask) -> bytes:
    """A mask as an 8-bit grey PNG, 0 and 255."""
    return flat_png(np.multiply(mask, 255, dtype=np.uint8))


def write_npy(segmentation: Segmentation, file: IO[bytes]) -> None:
    """Write the label map as a numpy array (H, W) uint8."""
    np.save(file, label_map(segmentation), allow_pickle=False)


def write_nifti(segmentation: Segmentation, file: IO[bytes]) -> None:
    """Write the label map as gzipped NIfTI-1, indexed (x, y, 1) as ITK writes a picture.

    The affine is ITK's too: x runs to the patient's left, y down; 1 mm if the spacing is unknown.
    The same result gives the same bytes.
    """
    spacing = segmentation.radiograph.spacing or Spacing(1.0, 1.0, "unknown")
    import nibabel  # only this format needs it

    affine = np.diag([-spacing.col_mm, -spacing.row_mm, 1.0, 1.0])
    voxels = np.ascontiguousarray(label_map(segmentation).T[..., None])
    image: Any = nibabel.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as inside:
        inside.write(image.to_bytes())


def save_png(image: Image.Image, path: Path, **options: Any) -> Path:
    """Write a picture as PNG, atomically; returns the path."""
    with atomic_write(path) as file:
        image.save(file, "PNG", **options)
    return path
