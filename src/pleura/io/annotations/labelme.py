"""Labelme JSON: the shapes of one film in one file."""

from __future__ import annotations

import base64
import math
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from pleura.io.annotations.shapes import (
    AnnotatedFilm,
    Draw,
    Shape,
    draw_box,
    draw_ellipse,
    draw_nothing,
    draw_patch,
    draw_polygons,
)

__all__ = ["is_labelme", "read_labelme"]

KNOWN = "polygon, rectangle, circle or mask"
"""The kinds of shape that have an area, for messages."""


def is_labelme(content: Any) -> bool:
    """Whether this is the content of a Labelme file."""
    return isinstance(content, dict) and {"shapes", "imagePath"} <= set(content)


def read_labelme(content: Any) -> list[AnnotatedFilm]:
    """The one film of a Labelme file."""
    shapes = [Shape(str(shape["label"]), _draw(shape)) for shape in content["shapes"]]
    name = str(content["imagePath"]).replace("\\", "/").rpartition("/")[2]
    height, width = int(content["imageHeight"]), int(content["imageWidth"])
    return [AnnotatedFilm(name, height, width, tuple(shapes))]


def _draw(shape: dict[str, Any]) -> Draw:
    kind, points = shape.get("shape_type") or "polygon", shape["points"]
    if kind == "polygon":
        return draw_polygons([np.ravel(points).tolist()])
    if kind == "rectangle":
        (left, top), (right, bottom) = points
        return draw_box(left, top, right, bottom)
    if kind == "circle":
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return draw_ellipse((x, y), (radius, radius))
    if kind == "mask":
        return _patch(shape)
    return draw_nothing(str(shape["label"]), str(kind), KNOWN)


def _patch(shape: dict[str, Any]) -> Draw:
    """A mask: a PNG of the box, whose corners are the points."""
    with Image.open(BytesIO(base64.b64decode(shape["mask"]))) as picture:
        patch = np.asarray(picture) != 0
    left, top = shape["points"][0]
    return draw_patch(patch, round(left), round(top))
