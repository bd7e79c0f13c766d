"""DICOM Presentation State: the outlines as lines over the film itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from highdicom import PresentationLUTTransformation
from highdicom.color import CIELabColor
from highdicom.pr import (
    AnnotationUnitsValues,
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GraphicTypeValues,
    GrayscaleSoftcopyPresentationState,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pleura.core.arrays import Mask
from pleura.core.errors import UnsuitableFilm
from pleura.core.masks.contours import outlines
from pleura.core.types import Segmentation
from pleura.io.dicom.objects.common import COLOURS, LABELS, NOT_FOR_DIAGNOSIS, stamp
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = ["MOST_POINTS", "dicom_gsps"]

MOST_POINTS = 8000
"""Of one line: 8 bytes a point, and explicit VR tells at most 65,534 bytes (PS3.5 7.1.2)."""


def dicom_gsps(film: Dataset, found: Segmentation, *, name: str = "dicom-gsps") -> Dataset:
    """A Grayscale Softcopy Presentation State with a layer of lines for each lung, and the heart.

    `film` is of `io.dicom.source.FilmHeader`. Lines run along the edges of pixels, closed, in PIXEL
    units (0, 0 is the upper left corner of the first pixel); one of more than `MOST_POINTS` points
    goes on in another. Grey values are shown as the film says: its modality LUT, its window or VOI
    LUT, and its polarity.

    Raises:
        UnsuitableFilm: the film is in colour, which this kind of object cannot refer to.
    """
    if film.SamplesPerPixel != 1:
        raise UnsuitableFilm(
            "dicom-gsps lays lines over a grey film, and this one is in colour; "
            "ask for dicom-seg or dicom-sc"
        )
    layers = list(_layers(film, found))
    gsps: Dataset = GrayscaleSoftcopyPresentationState(
        referenced_images=[film],
        content_label="LUNGS",
        content_description=NOT_FOR_DIAGNOSIS,
        graphic_layers=[layer for layer, _ in layers] or None,
        graphic_annotations=[lines for _, lines in layers] or None,
        presentation_lut_transformation=PresentationLUTTransformation(_shape(film)),
        **stamp(film.SOPInstanceUID, found, name),
    )
    gsps.Laterality = None
    return gsps


def _layers(film: Dataset, found: Segmentation) -> Iterator[tuple[GraphicLayer, GraphicAnnotation]]:
    """A layer and its lines for each part that was found; an empty mask has none."""
    masks = {RIGHT: found.right, LEFT: found.left, HEART: found.heart}
    for part, mask in masks.items():
        if mask is None or not mask.any():
            continue
        layer = GraphicLayer(
            LABELS[part].upper(),
            order=part,
            description=LABELS[part],
            display_color=CIELabColor.from_rgb(*COLOURS[part]),
        )
        lines = GraphicAnnotation([film], layer, graphic_objects=list(_lines(mask)))
        yield layer, lines


def _lines(mask: Mask) -> Iterator[GraphicObject]:
    for outline in outlines(mask):
        closed = np.concatenate([outline, outline[:1]])
        for start in range(0, len(closed) - 1, MOST_POINTS - 1):  # the last point begins the next
            yield _line(closed[start : start + MOST_POINTS])


def _line(points: NDArray[np.float64]) -> GraphicObject:
    return GraphicObject(GraphicTypeValues.POLYLINE, points, AnnotationUnitsValues.PIXEL)


def _shape(film: Dataset) -> str:
    """A presentation state shows low values dark, whatever the film's photometric says."""
    return "INVERSE" if film.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
