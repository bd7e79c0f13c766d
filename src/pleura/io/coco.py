"""COCO JSON: the lungs of one film as instances, each as polygons and as run lengths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pleura.core.contours import outlines, rle
from pleura.core.types import Mask, Segmentation
from pleura.io.masks import HEART, LEFT, RIGHT
from pleura.io.whole import written_whole

__all__ = ["coco", "write_coco"]

CATEGORIES = {RIGHT: "right lung", LEFT: "left lung", HEART: "heart"}
"""By the label map's values."""


def write_coco(segmentation: Segmentation, stem: Path) -> list[Path]:
    """One COCO file a film."""
    path = stem.with_name(f"{stem.name}_coco.json")
    with written_whole(path, "w") as file:
        json.dump(coco(segmentation, name=stem.name), file)
        file.write("\n")
    return [path]


def coco(segmentation: Segmentation, *, name: str) -> dict[str, Any]:
    """The COCO object of one film, `name` its file name.

    `segmentation` holds polygons in pixels, x to the right and y down from the upper left corner
    of the upper left pixel, along the edges of pixels. Readers of COCO fill each polygon, the
    counter-clockwise ones around holes too, so each annotation also has `rle`, the exact mask as
    uncompressed run lengths. A structure that is not there has no annotation.
    """
    height, width = segmentation.radiograph.size
    masks = {RIGHT: segmentation.right, LEFT: segmentation.left, HEART: segmentation.heart}
    present = {value: mask for value, mask in masks.items() if mask is not None and mask.any()}
    version = segmentation.provenance.version
    return {
        "info": {"description": "lungs found by Pleura", "version": version},
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "categories": [
            {"id": value, "name": category, "supercategory": "thorax"}
            for value, category in CATEGORIES.items()
        ],
        "annotations": [_annotation(value, mask) for value, mask in present.items()],
    }


def _annotation(category: int, mask: Mask) -> dict[str, Any]:
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": category,
        "image_id": 1,
        "category_id": category,
        "iscrowd": 0,
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
        "segmentation": [outline.ravel().tolist() for outline in outlines(mask)],
        "rle": {"size": [height, width], "counts": [int(run) for run in rle(mask)]},
    }
