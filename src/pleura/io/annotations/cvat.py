"""CVAT's own XML, "CVAT for images 1.1": the shapes of many films in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from xml.etree.ElementTree import Element

import numpy as np

from pleura.io.annotations import shapes

__all__ = ["is_cvat", "read_cvat"]


def is_cvat(root: Element) -> bool:
    """Whether this is the root of a file of CVAT."""
    films = root.find("meta") is not None or root.find("image") is not None
    return root.tag == "annotations" and films


def read_cvat(root: Element) -> list[shapes.AnnotatedFilm]:
    """The films of a file, in its order."""
    return [
        shapes.AnnotatedFilm(
            image.attrib["name"],
            int(image.attrib["height"]),
            int(image.attrib["width"]),
            tuple(_shapes(image)),
        )
        for image in root.iter("image")
    ]


def _shapes(image: Element) -> Iterator[shapes.Shape]:
    for shape in image:
        label = shape.get("label")
        if label is not None:
            without_area = shapes.draw_nothing(label, shape.tag, ", ".join(_DRAWN))
            draw = _DRAWN.get(shape.tag)
            yield shapes.Shape(label, draw(shape) if draw else without_area)


def _polygon(shape: Element) -> shapes.Draw:
    points = [point.split(",") for point in shape.attrib["points"].split(";")]
    return shapes.draw_polygons([[float(value) for point in points for value in point]])


def _numbers(shape: Element, *names: str) -> list[float]:
    return [float(shape.attrib[name]) for name in names]


def _box(shape: Element) -> shapes.Draw:
    return shapes.draw_box(*_numbers(shape, "xtl", "ytl", "xbr", "ybr"))


def _ellipse(shape: Element) -> shapes.Draw:
    x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
    return shapes.draw_ellipse((x, y), (radius_x, radius_y))


def _mask(shape: Element) -> shapes.Draw:
    """Run lengths along the rows of the mask's box, zeros first."""
    left, top, width, height = map(int, _numbers(shape, "left", "top", "width", "height"))
    counts = [int(count) for count in shape.attrib["rle"].split(",")]
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return shapes.draw_patch(flat.reshape(height, width), left, top)


_DRAWN: dict[str, Callable[[Element], shapes.Draw]] = {
    "polygon": _polygon,
    "mask": _mask,
    "box": _box,
    "ellipse": _ellipse,
}
"""Element -> the function that reads it."""
