"""COCO JSON: lungs as instances, each as polygons and as run lengths; a file a film, one a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.masks.contours import outlines, rle
from pleura.core.types import Segmentation
from pleura.io.files.atomic import written_whole
from pleura.io.files.open_file import open_file
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = ["ENDING", "MERGED", "coco", "merge_coco", "write_coco"]

ENDING = "_coco.json"
"""Of one film's file."""

MERGED = "coco.json"
"""The file of a whole run, in the output folder."""

CATEGORIES = {RIGHT: "right lung", LEFT: "left lung", HEART: "heart"}
"""By the label map's values."""


def write_coco(segmentation: Segmentation, stem: Path, *, name: str | None = None) -> list[Path]:
    """One COCO file a film; `name` is the film's own file name, the stem's where it has none."""
    path = stem.with_name(stem.name + ENDING)
    with written_whole(path, "w") as file:
        json.dump(coco(segmentation, name=stem.name if name is None else name), file)
        file.write("\n")
    return [path]


def merge_coco(out: Path, films: Iterable[tuple[str, str]], *, version: str) -> Path:
    """Write `out/coco.json`: the COCO files of all `films` as one, with ids of their own.

    `films` are (name of its results, file name for the image); one whose COCO file is not there is
    left out. One film at a time is in memory, but for its entry among the images.
    """
    images: list[dict[str, Any]] = []
    path, number = out / MERGED, 0
    with written_whole(path, "w") as file:
        head = json.dumps({"info": _info(version), "categories": _categories()})
        file.write(f'{head[:-1]}, "annotations": [')
        for stem, name in films:
            film = _read_coco(out / (stem + ENDING))
            if film is None:
                continue
            images.append({**film["images"][0], "id": len(images) + 1, "file_name": name})
            for each in film["annotations"]:
                comma, number = "," if number else "", number + 1
                file.write(f"{comma}\n")
                json.dump({**each, "id": number, "image_id": len(images)}, file)
        file.write('], "images": ')
        json.dump(images, file)
        file.write("}\n")
    return path


def _read_coco(path: Path) -> dict[str, Any] | None:
    try:
        with open_file(path) as file:
            content: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return content


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
    return {
        "info": _info(segmentation.provenance.version),
        "images": [{"id": 1, "file_name": name, "width": width, "height": height}],
        "categories": _categories(),
        "annotations": [_annotation(value, mask) for value, mask in present.items()],
    }


def _info(version: str) -> dict[str, str]:
    return {"description": "lungs found by Pleura", "version": version}


def _categories() -> list[dict[str, Any]]:
    return [
        {"id": value, "name": category, "supercategory": "thorax"}
        for value, category in CATEGORIES.items()
    ]


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
