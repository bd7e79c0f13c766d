"""COCO JSON: polygons and run lengths of many films in one file.

CVAT, Roboflow, Label Studio and Pleura itself export such files.
"""

from __future__ import annotations

from typing import Any

from pleura.core.errors import UnreadableFilm
from pleura.core.masks.contours import decompressed_rle
from pleura.io.annotations import shapes

__all__ = ["is_coco", "read_coco"]


def is_coco(content: Any) -> bool:
    """Whether this is the content of a COCO file of instances."""
    return isinstance(content, dict) and {"images", "annotations", "categories"} <= set(content)


def read_coco(content: Any) -> list[shapes.AnnotatedFilm]:
    """The films of a COCO file, in its order; those without an annotation have no shape.

    Raises `UnreadableFilm` if an annotation names a category or an image that the file lacks.
    """
    labels = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
    drawn: dict[Any, list[shapes.Shape]] = {image["id"]: [] for image in content["images"]}
    for entry in content["annotations"]:
        for key, known in (("category_id", labels), ("image_id", drawn)):
            if entry[key] not in known:
                raise UnreadableFilm(
                    f"an annotation has the {key} {entry[key]!r}, which the file does not list"
                )
        label = labels[entry["category_id"]]
        drawn[entry["image_id"]].append(shapes.Shape(label, _draw(entry, label)))
    return [
        shapes.AnnotatedFilm(
            str(image["file_name"]),
            int(image["height"]),
            int(image["width"]),
            tuple(drawn[image["id"]]),
        )
        for image in content["images"]
    ]


def _draw(entry: dict[str, Any], label: str) -> shapes.Draw:
    """Run lengths are taken before polygons, which have no holes in COCO."""
    outline = entry.get("rle") or entry.get("segmentation")
    if not outline:
        return shapes.draw_nothing(label, "bbox", "polygons or run lengths under `segmentation`")
    if not isinstance(outline, dict):
        return shapes.draw_polygons(outline)
    counts, (height, width) = outline["counts"], outline["size"]
    runs = decompressed_rle(counts) if isinstance(counts, str) else list(map(int, counts))
    return shapes.draw_runs(runs, (int(height), int(width)))
