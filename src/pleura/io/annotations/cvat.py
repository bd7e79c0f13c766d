"""CVAT's own XML, "CVAT for images 1.1": the shapes of many films in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

import numpy as np

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

__all__ = ["is_cvat", "read_cvat"]


def is_cvat(root: Element) -> bool:
    """Whether this is the root of a file of CVAT."""
    return root.tag == "annotations" and root.find("meta") is not None


def read_cvat(root: Element) -> list[AnnotatedFilm]:
    """The films of a file, in its order."""
    return [
        AnnotatedFilm(
            image.attrib["name"],
            int(image.attrib["height"]),
            int(image.attrib["width"]),
            tuple(_shapes(image)),
        )
        for image in root.iter("image")
    ]


def _shapes(image: Element) -> Iterator[Shape]:
    for shape in image:
        label = shape.get("label")
        if label is not None:
            without_area = draw_nothing(label, shape.tag, ", ".join(_DRAWN))
            draw = _DRAWN.get(shape.tag)
            yield Shape(label, draw(shape) if draw else without_area)


def _polygon(shape: Element) -> Draw:
    points = [point.split(",") for point in shape.attrib["points"].split(";")]
    return draw_polygons([[float(value) for point in points for value in point]])


def _numbers(shape: Element, *names: str) -> list[float]:
    return [float(shape.attrib[name]) for name in names]


def _box(shape: Element) -> Draw:
    return draw_box(*_numbers(shape, "xtl", "ytl", "xbr", "ybr"))


def _ellipse(shape: Element) -> Draw:
    x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
    return draw_ellipse((x, y), (radius_x, radius_y))


def _mask(shape: Element) -> Draw:
    """Run lengths along the rows of the mask's box, zeros first."""
    left, top, width, height = map(int, _numbers(shape, "left", "top", "width", "height"))
    counts = [int(count) for count in shape.attrib["rle"].split(",")]
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return draw_patch(flat.reshape(height, width), left, top)


_DRAWN: dict[str, Callable[[Element], Draw]] = {
    "polygon": _polygon,
    "mask": _mask,
    "box": _box,
    "ellipse": _ellipse,
}
"""Element -> the function that reads it."""
