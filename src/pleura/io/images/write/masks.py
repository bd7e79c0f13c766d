"""Masks as files: PNG, label map, npy, NIfTI."""

from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.masks.overlay import HEART_COLOUR, LEFT_COLOUR, RIGHT_COLOUR
from pleura.core.types import Segmentation, Spacing
from pleura.io.files.atomic import written_whole
from pleura.io.images.write.png import flat_png

__all__ = [
    "HEART",
    "LEFT",
    "RIGHT",
    "label_map",
    "labels_png",
    "mask_png",
    "write_labels",
    "write_mask",
    "write_nifti",
    "write_npy",
    "write_split",
]

RIGHT, LEFT, HEART = 1, 2, 3
"""Values of the label map; 0 is everything else."""

_PALETTE = (*(0, 0, 0), *RIGHT_COLOUR, *LEFT_COLOUR, *HEART_COLOUR)  # as in the overlay


def label_map(segmentation: Segmentation) -> NDArray[np.uint8]:
    """(H, W) uint8: 1 right lung, 2 left lung, 3 heart where there is one and no lung."""
    labels = np.zeros(segmentation.right.shape, np.uint8)
    if segmentation.heart is not None:
        labels[segmentation.heart] = HEART
    labels[segmentation.right] = RIGHT
    labels[segmentation.left] = LEFT
    return labels


def write_mask(segmentation: Segmentation, stem: Path) -> list[Path]:
    """Both lungs: 8-bit grey PNG, 0 and 255, at the film's size."""
    return [_save(mask_png(segmentation.mask), _ending(stem, "_mask.png"))]


def write_split(segmentation: Segmentation, stem: Path) -> list[Path]:
    """One PNG of 0 and 255 a lung; right and left are the patient's."""
    return [
        _save(mask_png(segmentation.right), _ending(stem, "_right.png")),
        _save(mask_png(segmentation.left), _ending(stem, "_left.png")),
    ]


def write_labels(segmentation: Segmentation, stem: Path) -> list[Path]:
    """The label map as a palette PNG: the values are 0 to 3, and colours show."""
    return [_save(labels_png(segmentation), _ending(stem, "_labels.png"))]


def labels_png(segmentation: Segmentation) -> bytes:
    """The label map as a palette picture."""
    return flat_png(label_map(segmentation), palette=_PALETTE)


def mask_png(mask: Mask) -> bytes:
    """A mask as an 8-bit grey picture, 0 and 255."""
    return flat_png(np.multiply(mask, 255, dtype=np.uint8))


def write_npy(segmentation: Segmentation, stem: Path) -> list[Path]:
    """The label map as a numpy array (H, W) uint8."""
    path = _ending(stem, "_labels.npy")
    with written_whole(path) as file:
        np.save(file, label_map(segmentation), allow_pickle=False)
    return [path]


def write_nifti(segmentation: Segmentation, stem: Path) -> list[Path]:
    """The label map as gzipped NIfTI-1, indexed (x, y, 1) as ITK writes a picture.

    The affine is ITK's too: x runs to the patient's left, y down; 1 mm where the spacing is
    unknown. The same bytes each time.
    """
    path = _ending(stem, "_labels.nii.gz")
    spacing = segmentation.radiograph.spacing or Spacing(1.0, 1.0, "unknown")
    import nibabel  # for this format alone

    affine = np.diag([-spacing.col_mm, -spacing.row_mm, 1.0, 1.0])
    voxels = np.ascontiguousarray(label_map(segmentation).T[..., None])
    image: Any = nibabel.Nifti1Image(voxels, affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")
    packed = BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as inside:
        inside.write(image.to_bytes())
    with written_whole(path) as file:
        file.write(packed.getbuffer())
    return [path]


def save_png(image: Image.Image, path: Path, **options: Any) -> Path:
    """Write a picture as PNG, whole or not at all; returns the path."""
    with written_whole(path) as file:
        image.save(file, "PNG", **options)
    return path


def _save(data: bytes, path: Path) -> Path:
    with written_whole(path) as file:
        file.write(data)
    return path


def _ending(stem: Path, ending: str) -> Path:
    """`stem` with `ending` behind its whole name: dots in it are no suffix."""
    return stem.with_name(stem.name + ending)
