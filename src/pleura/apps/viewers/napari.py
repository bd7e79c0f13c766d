"""The napari plugin: a reader of DICOM films, and a widget that adds the lungs as labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pleura.api import Segmentation, read_radiograph, segment
from pleura.core.errors import UsageError
from pleura.io.images.write.masks import HEART, LEFT, RIGHT, label_colours, label_map

if TYPE_CHECKING:
    import napari

__all__ = ["reader", "segment_film"]

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
"""A layer as plugins give it: its data, the keywords of its constructor, its kind."""

SPACING = "pleura_spacing_mm"
"""The key of a layer's metadata with the spacing (row, column); absent if the film has none."""


def reader(_paths: str | list[str]) -> Callable[[str | list[str]], list[LayerData]]:
    """The function that reads these paths; napari asks for it, and then calls it with them."""
    return _read


def _read(paths: str | list[str]) -> list[LayerData]:
    """An image layer for each film: pixels (H, W) float32, upright, brighter means denser."""
    return [_image(Path(path)) for path in ([paths] if isinstance(paths, str) else paths)]


def _image(path: Path) -> LayerData:
    film = read_radiograph(path)
    given: dict[str, Any] = {"name": path.stem, "colormap": "gray", "metadata": {}}
    if film.spacing is not None:
        spacing = (film.spacing.row_mm, film.spacing.col_mm)
        given |= {"scale": spacing, "units": "mm", "metadata": {SPACING: spacing}}
    return film.pixels, given, "image"


def segment_film(
    film: napari.layers.Image,
    lungs: Literal["field", "whole"] = "field",
    fast: bool = False,
) -> list[napari.types.LayerDataTuple]:
    """A labels layer over `film`: 1 right lung, 2 left lung, 3 heart. Sides are the patient's.

    The table of the layer's features has the areas; its metadata has the verdict with its reasons.

    Raises:
        UsageError: no image layer is chosen.
        UnsuitableFilm: the image is no frontal film that can be segmented.
    """
    if film is None:
        raise UsageError("choose the layer of a chest film first")
    result = segment(film.data, spacing=film.metadata.get(SPACING), lungs=lungs, fast=fast)
    colours = {None: "transparent", **dict[int | None, str](label_colours().items())}
    given: dict[str, Any] = {
        "name": f"{film.name}: lungs ({result.quality.verdict})",
        "scale": film.scale,
        "translate": film.translate,
        "features": _features(result),
        "metadata": {
            "verdict": result.quality.verdict,
            "doubts": [doubt.text for doubt in result.quality.doubts],
            "notes": list(result.notes),
        },
        "colormap": colours,
        "opacity": 0.4,
    }
    return [(label_map(result), given, "labels")]


def _features(result: Segmentation) -> dict[str, list[Any]]:
    """Name and areas of each label, by columns; None for an area that is not measured."""
    measured = result.measurements
    rows = [
        (RIGHT, "right lung", measured.right_area_px, measured.right_area_cm2),
        (LEFT, "left lung", measured.left_area_px, measured.left_area_cm2),
        (HEART, "heart", measured.heart_area_px, None),
    ]
    columns = zip(*[row for row in rows if row[2] is not None], strict=True)
    names = ("index", "structure", "area_px", "area_cm2")
    return {name: list(column) for name, column in zip(names, columns, strict=True)}
