"""DICOM Segmentation: the masks on the film's own grid, with codes that any viewer knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as Seg
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pleura.core.parts import part_probabilities
from pleura.core.types import Provenance, Segmentation
from pleura.io.dicom_codes import AI, ANATOMY, COLOURS, LABELS, PARTS, SIDES
from pleura.io.dicom_stamp import DEFINED_AS, MAKER, NOT_FOR_DIAGNOSIS, parameters, stamp
from pleura.io.dicom_verdict import SAID, comment
from pleura.io.masks import HEART, label_map

__all__ = ["algorithm", "dicom_seg"]

_TYPES: dict[str, SegmentationTypeValues] = {
    "dicom-seg": SegmentationTypeValues.BINARY,
    "dicom-seg-fractional": SegmentationTypeValues.FRACTIONAL,
    "dicom-seg-labelmap": SegmentationTypeValues.LABELMAP,
}


def dicom_seg(film: Dataset, found: Segmentation, *, name: str = "dicom-seg") -> Dataset:
    """A Segmentation of `film`, of `io.dicom_source.FilmHeader`: segment 1 right, 2 left, 3 heart.

    `dicom-seg` holds a bit a pixel and segment; `dicom-seg-fractional` probabilities in steps of
    1/255; `dicom-seg-labelmap` the label map. A segment is there even where its mask is empty; the
    heart's only where the weights have a heart. Rows and columns are the film's, pixel for pixel;
    there is no frame of reference and no position, since a projection has none, and
    no spacing: the film's holds.
    """
    pixels = _pixels(found, name)
    seg: Dataset = Seg(
        source_images=[_without_spacing(film)],
        pixel_array=pixels,
        segmentation_type=_TYPES[name],
        segment_descriptions=list(_segments(found)),
        content_label="LUNGS",
        content_description=NOT_FOR_DIAGNOSIS,
        omit_empty_frames=False,
        **stamp(film.SOPInstanceUID, found, name),
    )
    seg.PatientOrientation = film.PatientOrientation
    comment(seg, found)
    return seg


def algorithm(made_by: Provenance) -> AlgorithmIdentificationSequence:
    """What made the masks: Pleura's version, the weights and their hash."""
    return AlgorithmIdentificationSequence(
        name=MAKER,
        family=AI,
        version=made_by.version,
        source=MAKER,
        parameters=parameters(made_by),
    )


def _without_spacing(film: Dataset) -> Dataset:
    """The header for highdicom, which could not read back a spacing without a slice thickness."""
    bare = Dataset()
    bare.update(film)
    bare.pop("PixelSpacing", None)
    return bare


def _pixels(found: Segmentation, name: str) -> NDArray[Any]:
    """(1, H, W, segments), or (H, W) for a label map; a new array, since highdicom writes in it."""
    if name == "dicom-seg-labelmap":
        return label_map(found)
    if name == "dicom-seg-fractional":
        return np.stack(part_probabilities(found), axis=-1)[None]
    masks = [found.right, found.left] + ([] if found.heart is None else [found.heart])
    return np.stack(masks, axis=-1)[None].astype(np.uint8)


def _segments(found: Segmentation) -> Iterator[SegmentDescription]:
    for number, label in LABELS.items():
        if number == HEART and found.heart is None:
            continue
        segment = SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=ANATOMY,
            segmented_property_type=PARTS[number],
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm(found.provenance),
            display_color=CIELabColor.from_rgb(*COLOURS[number]),
        )
        verdict = SAID[found.quality.verdict]
        segment.SegmentDescription = verdict
        if number in SIDES:  # highdicom has no argument for the modifier
            segment.SegmentDescription = f"{DEFINED_AS[found.provenance.definition]}. {verdict}"
            segment.SegmentedPropertyTypeCodeSequence[
                0
            ].SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(SIDES[number])]
        yield segment
