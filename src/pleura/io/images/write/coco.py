"""COCO JSON: each lung as polygons and as run lengths; one file a film, and one for the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.masks.contours import outlines, rle
from pleura.core.types import Segmentation
from pleura.io.files.atomic import atomic_write
from pleura.io.files.open_file import open_file
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = ["ENDING", "MERGED", "coco", "merge_coco", "merged_coco", "read_coco", "write_coco"]

ENDING = "_coco.json"
"""The ending of one film's file."""

MERGED = "coco.json"
"""The name of the run's file in the output folder."""

CATEGORIES = {RIGHT: "right lung", LEFT: "left lung", HEART: "heart"}
"""Name by value in the label map."""


def write_coco(segmentation: Segmentation, file: IO[bytes], *, name: str) -> None:
    """Write the COCO file of one film; `name` is the film's file name."""
    file.write(f"{json.dumps(coco(segmentation, name=name))}\n".encode())


def merge_coco(out: Path, films: Iterable[tuple[str, str]], *, version: str) -> Path:
    """Merge the COCO files of all `films` into `out/coco.json`, with new ids.

    `films` are (name of its results, file name for the image); a film without a COCO file is left
    out. The annotations of one film at a time are in memory.
    """
    path = out / MERGED
    contents = ((_read_file(out / (stem + ENDING)), name) for stem, name in films)
    with atomic_write(path, "w") as file:
        for part in merged_coco(contents, version=version):
            file.write(part)
    return path


def merged_coco(
    films: Iterable[tuple[dict[str, Any] | None, str]], *, version: str
) -> Iterator[str]:
    """The text of the run's file, in parts.

    `films` are (COCO object of one film, file name for the image); None in place of an object is
    left out.
    """
    images: list[dict[str, Any]] = []
    number = 0
    head = json.dumps({"info": _info(version), "categories": _categories()})
    yield f'{head[:-1]}, "annotations": ['
    for film, name in films:
        if film is None:
            continue
        images.append({**film["images"][0], "id": len(images) + 1, "file_name": name})
        for annotation in film["annotations"]:
            comma, number = "," if number else "", number + 1
            yield f"{comma}\n"
            yield json.dumps({**annotation, "id": number, "image_id": len(images)})
    yield '], "images": '
    yield json.dumps(images)
    yield "}\n"


def read_coco(content: bytes) -> dict[str, Any]:
    """The COCO object in a file that `write_coco` wrote."""
    film: dict[str, Any] = json.loads(content)
    return film


def _read_file(path: Path) -> dict[str, Any] | None:
    try:
        with open_file(path) as file:
            return read_coco(file.read())
    except (OSError, ValueError):
        return None


def coco(segmentation: Segmentation, *, name: str) -> dict[str, Any]:
    """The COCO object of one film, `name` its file name.

    The field `segmentation` holds polygons in pixels along the edges of pixels, x to the right and
    y down from the upper left corner of the upper left pixel. Readers of COCO also fill the
    counter-clockwise polygons around holes, so each annotation has `rle` as well, the exact mask
    as uncompressed run lengths. A structure that was not found has no annotation.
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
