"""The layout of your own films: `images/` and `masks/`, or other usual names.

A mask is named like its film: `X`, `X_mask`, `mask_X`, `X_seg`, in any case. Both folders may have
folders of their own.

Masks are of the `field`; any non-zero pixel is lung. Results of Pleura can be used too: label maps
(`_labels`), DICOM segmentations (`_seg`) and a mask for each lung (`_right`, `_left`). A film
without such a mask may have annotations (COCO, Labelme, CVAT). `labels.json` states the meaning of
values, colours and names. For several hospitals, patients with more than one film, or fixed splits,
write a `manifest.csv`.
"""

from __future__ import annotations

from pathlib import Path

from pleura.lab.data.film import Film
from pleura.lab.data.layouts.annotated import AnnotationIndex, annotation_files
from pleura.lab.data.layouts.files import (
    MASK_SUFFIXES,
    by_spelling,
    parts_of,
    pictures,
    require_pairs,
)
from pleura.lab.data.layouts.structures import read_meanings

__all__ = ["EXPECTS", "mask_folder", "matches", "read"]

EXPECTS = "images/X.* with masks/X.*, X_mask.*, X_labels.*, or X_right.* and X_left.*"


IMAGES, MASKS = ("images", "films"), ("masks", "mask", "labels", "segmentations")
"""Names of the two folders, in any case; of several the first that is there."""


def matches(path: Path) -> bool:
    """Whether both folders are here."""
    return _found(path, IMAGES) is not None and mask_folder(path) is not None


def mask_folder(path: Path) -> Path | None:
    """The folder of masks in `path`."""
    return _found(path, MASKS)


def read(path: Path) -> list[Film]:
    """The films, sorted by id; no patient is stated, the source is the folder's name."""
    images = pictures(_found(path, IMAGES) or path / IMAGES[0], nested=True)
    masks = pictures(mask_folder(path) or path / MASKS[0], MASK_SUFFIXES, nested=True)
    spelt, meanings = by_spelling(masks), read_meanings(path)
    index = AnnotationIndex(annotation_files(path), meanings)
    parts = {
        stem: parts_of(stem, spelt, meanings) or index.parts_of(stem, image)
        for stem, image in images.items()
    }
    require_pairs(sum(bool(masks_of_film) for masks_of_film in parts.values()), masks, path)
    source = path.resolve().name
    return [Film(stem, source, image, parts[stem]) for stem, image in images.items()]


def _found(path: Path, names: tuple[str, ...]) -> Path | None:
    """The folder in `path` with one of the names."""
    if not path.is_dir():
        return None
    folders = {entry.name.lower(): entry for entry in sorted(path.iterdir()) if entry.is_dir()}
    return next((folders[name] for name in names if name in folders), None)
