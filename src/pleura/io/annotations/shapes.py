"""Annotated films: the shapes of an annotation file, and drawing them as masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from pleura.core.arrays import Mask
from pleura.core.errors import UnreadableFilm
from pleura.core.masks.contours import fill_outlines, mask_from_rle

__all__ = [
    "AnnotatedFilm",
    "Draw",
    "Shape",
    "draw_box",
    "draw_ellipse",
    "draw_nothing",
    "draw_patch",
    "draw_polygons",
    "draw_runs",
]

Draw: TypeAlias = Callable[[int, int], Mask]
"""(height, width) -> the mask of a shape, (H, W) bool."""

CORNERS = 720
"""Corners of the polygon that is drawn for an ellipse."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotated area."""

    label: str
    """Its name in the file."""

    draw: Draw


@dataclass(frozen=True, slots=True)
class AnnotatedFilm:
    """The annotations of one film in a file."""

    name: str
    """The film's file name, perhaps with folders."""

    height: int
    width: int
    shapes: tuple[Shape, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, each once."""
        return tuple(dict.fromkeys(shape.label for shape in self.shapes))

    def masks(self) -> dict[str, Mask]:
        """Label -> the union of its shapes, (H, W) bool.

        Raises:
            UnreadableFilm: a shape that has no area, or damaged run lengths.
        """
        masks: dict[str, Mask] = {}
        for shape in self.shapes:
            mask = shape.draw(self.height, self.width)
            masks[shape.label] = masks[shape.label] | mask if shape.label in masks else mask
        return masks


def draw_polygons(polygons: Sequence[Sequence[float]]) -> Draw:
    """The union of polygons, each x, y, x, y, ... in pixels from the upper left corner."""
    corners = [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in polygons]

    def draw(height: int, width: int) -> Mask:
        mask = np.zeros((height, width), np.bool_)
        for polygon in corners:
            mask |= fill_outlines([polygon], height, width)
        return mask

    return draw


def draw_box(left: float, top: float, right: float, bottom: float) -> Draw:
    """A rectangle with these edges, in pixels from the upper left corner."""
    return draw_polygons([[left, top, right, top, right, bottom, left, bottom]])


def draw_ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> Draw:
    """An ellipse with a centre (x, y) and radii along x and y, in pixels."""
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    x = centre[0] + radii[0] * np.cos(angles)
    y = centre[1] + radii[1] * np.sin(angles)
    return draw_polygons([np.stack((x, y), axis=1).ravel().tolist()])


def draw_runs(counts: Sequence[int], size: tuple[int, int]) -> Draw:
    """COCO's run lengths of a mask of `size` (H, W)."""

    def draw(height: int, width: int) -> Mask:
        if size != (height, width):
            raise UnreadableFilm(
                f"run lengths of {size[1]} x {size[0]} px in a film of {width} x {height} px; "
                "export the annotations again"
            )
        try:
            return mask_from_rle(counts, height, width)
        except ValueError as error:
            raise UnreadableFilm(f"{error}; export the annotations again") from error

    return draw


def draw_patch(patch: Mask, left: int, top: int) -> Draw:
    """A mask (h, w) bool, whose upper left pixel lies in column `left` and row `top`."""

    def draw(height: int, width: int) -> Mask:
        mask = np.zeros((height, width), np.bool_)
        cut = patch[max(0, -top) : height - top, max(0, -left) : width - left]
        row, column = max(0, top), max(0, left)
        mask[row : row + cut.shape[0], column : column + cut.shape[1]] = cut
        return mask

    return draw


def draw_nothing(label: str, kind: str, known: str) -> Draw:
    """Raise `UnreadableFilm` when it is drawn: a shape of this kind has no area."""

    def draw(_height: int, _width: int) -> Mask:
        raise UnreadableFilm(f"the shape {kind!r} of {label!r} has no outline; expected {known}")

    return draw
