"""DICOM Presentation State: the outlines as lines over the film."""

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
from pleura.io.dicom.objects.common import COLOURS, LABELS, NOT_FOR_DIAGNOSIS, common_arguments
from pleura.io.images.write.masks import HEART, LEFT, RIGHT

__all__ = ["MAX_POINTS", "dicom_gsps"]

MAX_POINTS = 8000
"""The most points of a line: a point has 8 bytes, an explicit VR at most 65,534 (PS3.5 7.1.2)."""


def dicom_gsps(film: Dataset, segmentation: Segmentation, *, name: str = "dicom-gsps") -> Dataset:
    """A Grayscale Softcopy Presentation State with a layer of lines for each lung, and the heart.

    `film` is of `io.dicom.source.FilmHeader`. Lines run along the edges of pixels, closed, in PIXEL
    units (0, 0 is the upper left corner of the first pixel); one of more than `MAX_POINTS` points
    is split. Grey values are displayed with the film's modality LUT, window or VOI LUT, and
    polarity.

    Raises:
        UnsuitableFilm: the film is in colour, which this kind of object cannot refer to.
    """
    if film.SamplesPerPixel != 1:
        raise UnsuitableFilm(
            "dicom-gsps draws lines over a grey film, and this one is in colour; "
            "ask for dicom-seg or dicom-sc"
        )
    layers = list(_layers(film, segmentation))
    gsps: Dataset = GrayscaleSoftcopyPresentationState(
        referenced_images=[film],
        content_label="LUNGS",
        content_description=NOT_FOR_DIAGNOSIS,
        graphic_layers=[layer for layer, _ in layers] or None,
        graphic_annotations=[lines for _, lines in layers] or None,
        presentation_lut_transformation=PresentationLUTTransformation(_shape(film)),
        **common_arguments(film.SOPInstanceUID, segmentation, name),
    )
    gsps.Laterality = None
    return gsps


def _layers(
    film: Dataset, segmentation: Segmentation
) -> Iterator[tuple[GraphicLayer, GraphicAnnotation]]:
    """A layer and its lines for each part whose mask is not empty."""
    masks = {RIGHT: segmentation.right, LEFT: segmentation.left, HEART: segmentation.heart}
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
        for start in range(
            0, len(closed) - 1, MAX_POINTS - 1
        ):  # the next line starts at the last point
            yield _line(closed[start : start + MAX_POINTS])


def _line(points: NDArray[np.float64]) -> GraphicObject:
    return GraphicObject(GraphicTypeValues.POLYLINE, points, AnnotationUnitsValues.PIXEL)


def _shape(film: Dataset) -> str:
    """The PresentationLUTShape; IDENTITY displays low values dark for every film."""
    return "INVERSE" if film.PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
