"""Labelme JSON: the shapes of one film in one file."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from pleura.io.annotations import shapes

__all__ = ["is_labelme", "read_labelme"]

KNOWN = "polygon, rectangle, circle or mask"
"""The kinds of shape that have an area, for messages."""


def is_labelme(content: Any) -> bool:
    """Whether this is the content of a Labelme file."""
    return isinstance(content, dict) and {"shapes", "imagePath"} <= set(content)


def read_labelme(content: Any) -> list[shapes.AnnotatedFilm]:
    """The one film of a Labelme file."""
    drawn = [shapes.Shape(str(shape["label"]), _draw(shape)) for shape in content["shapes"]]
    name = str(content["imagePath"]).replace("\\", "/").rpartition("/")[2]
    height, width = int(content["imageHeight"]), int(content["imageWidth"])
    return [shapes.AnnotatedFilm(name, height, width, tuple(drawn))]


def _draw(shape: dict[str, Any]) -> shapes.Draw:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind == "polygon":
        return shapes.draw_polygons([np.ravel(points).tolist()])
    if kind == "rectangle":
        (left, top), (right, bottom) = points
        return shapes.draw_box(left, top, right, bottom)
    if kind == "circle":
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return shapes.draw_ellipse((x, y), (radius, radius))
    if kind == "mask":
        return _patch(shape)
    return shapes.draw_nothing(str(shape["label"]), str(kind), KNOWN)


def _patch(shape: dict[str, Any]) -> shapes.Draw:
    """A mask: a PNG of the box, whose corners are the points."""
    with Image.open(BytesIO(base64.b64decode(shape["mask"]))) as picture:
        patch = np.asarray(picture) != 0
    left, top = shape["points"][0]
    return shapes.draw_patch(patch, round(left), round(top))
