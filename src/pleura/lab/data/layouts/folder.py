"""The layout of your own films: `images/` and `masks/`.

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

__all__ = ["EXPECTS", "matches", "read"]

EXPECTS = "images/X.* with masks/X.*, X_mask.*, X_labels.*, or X_right.* and X_left.*"


def matches(path: Path) -> bool:
    """Whether both folders are here."""
    return (path / "images").is_dir() and (path / "masks").is_dir()


def read(path: Path) -> list[Film]:
    """The films, sorted by id; no patient is stated, the source is the folder's name."""
    images = pictures(path / "images", nested=True)
    masks = pictures(path / "masks", MASK_SUFFIXES, nested=True)
    spelt, meanings = by_spelling(masks), read_meanings(path)
    index = AnnotationIndex(annotation_files(path), meanings)
    parts = {
        stem: parts_of(stem, spelt, meanings) or index.parts_of(stem, image)
        for stem, image in images.items()
    }
    require_pairs(sum(bool(masks_of_film) for masks_of_film in parts.values()), masks, path)
    source = path.resolve().name
    return [Film(stem, source, image, parts[stem]) for stem, image in images.items()]
