"""DICOM Segmentation: the masks at the film's size, with public codes."""

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
from pydicom.uid import UID
from pydicom.valuerep import DS
from scipy.ndimage import distance_transform_edt

from pleura.core.arrays import Mask
from pleura.core.masks.cleanup import check_definition
from pleura.core.types import Provenance, Segmentation, Spacing
from pleura.io.dicom.objects.codes import AI, ANATOMY, PARTS, SIDES
from pleura.io.dicom.objects.common import (
    COLOURS,
    DEFINITION_TEXTS,
    LABELS,
    MAKER,
    NOT_FOR_DIAGNOSIS,
    VERDICT_TEXTS,
    add_remarks,
    common_arguments,
    parameters,
    result_uid,
    tracking_uid,
)
from pleura.io.images.write.masks import HEART, label_map

__all__ = ["algorithm", "dicom_seg", "part_probabilities"]


_TYPES: dict[str, SegmentationTypeValues] = {
    "dicom-seg": SegmentationTypeValues.BINARY,
    "dicom-seg-fractional": SegmentationTypeValues.FRACTIONAL,
    "dicom-seg-labelmap": SegmentationTypeValues.LABELMAP,
}


def dicom_seg(film: Dataset, segmentation: Segmentation, *, name: str = "dicom-seg") -> Dataset:
    """A Segmentation of `film`, of `io.dicom.source.FilmHeader`: segment 1 right, 2 left, 3 heart.

    `dicom-seg` holds a bit a pixel and segment; `dicom-seg-fractional` probabilities in steps of
    1/255; `dicom-seg-labelmap` the label map. A segment with an empty mask is written too; the
    heart's only if the weights have a heart. Rows and columns are the film's. There is no frame of
    reference and no position, since a projection has none. The plane is for viewers alone.
    """
    pixels = _pixels(segmentation, name)
    seg: Dataset = Seg(
        source_images=[_without_spacing(film)],
        pixel_array=pixels,
        segmentation_type=_TYPES[name],
        segment_descriptions=list(_segments(film.SOPInstanceUID, segmentation)),
        content_label="LUNGS",
        content_description=NOT_FOR_DIAGNOSIS,
        omit_empty_frames=False,
        **common_arguments(film.SOPInstanceUID, segmentation, name),
    )
    if segmentation.provenance.edited:
        seg.ContentDescription = "Lungs found by software and edited by hand"
    seg.PatientOrientation = film.PatientOrientation
    _add_plane(seg, segmentation.radiograph.spacing)
    dimensions = result_uid(film.SOPInstanceUID, segmentation.provenance, f"{name}/dimensions")
    _name_dimensions(seg, dimensions)
    add_remarks(seg, segmentation)
    return seg


def algorithm(provenance: Provenance) -> AlgorithmIdentificationSequence:
    """The algorithm: Pleura's version, the weights and their hash."""
    return AlgorithmIdentificationSequence(
        name=MAKER,
        family=AI,
        version=provenance.version,
        source=MAKER,
        parameters=parameters(provenance),
    )


def _without_spacing(film: Dataset) -> Dataset:
    """The header without spacing: highdicom cannot read one without a slice thickness."""
    header = Dataset()
    header.update(film)
    header.pop("PixelSpacing", None)
    return header


def _add_plane(seg: Dataset, spacing: Spacing | None) -> None:
    """State that rows run along x and columns along y, and the spacing, for all frames, in place.

    A projection has no position in space, and the standard does not require a plane without a frame
    of reference. The SEG reader of cornerstone3D, and so OHIF, cannot read a SEG without one. The
    page of OHIF goes blank at a SEG without pixel measures. highdicom reads no measures without
    spacing and slice thickness; a projection has no slices, so that 1 mm has no meaning. Without
    spacing there is the distance of slices alone: a made-up spacing would give wrong areas.
    """
    plane, measures = Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if spacing is None:
        measures.SpacingBetweenSlices = 1
    else:
        sides = (spacing.row_mm, spacing.col_mm)
        measures.PixelSpacing = [DS(side, auto_format=True) for side in sides]
        measures.SliceThickness = 1
    groups = seg.SharedFunctionalGroupsSequence[0]
    groups.PlaneOrientationSequence = [plane]
    groups.PixelMeasuresSequence = [measures]


def _name_dimensions(seg: Dataset, uid: UID) -> None:
    """Give the dimensions the UID `uid`; highdicom draws one at random at each run."""
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in seg.get(keyword, ()):
            item.DimensionOrganizationUID = uid


def _pixels(segmentation: Segmentation, name: str) -> NDArray[Any]:
    """(1, H, W, segments), or (H, W) for a label map; a new array, as highdicom changes it."""
    if name == "dicom-seg-labelmap":
        return label_map(segmentation)
    if name == "dicom-seg-fractional":
        return np.stack(part_probabilities(segmentation), axis=-1)[None]
    masks = [segmentation.right, segmentation.left] + (
        [] if segmentation.heart is None else [segmentation.heart]
    )
    return np.stack(masks, axis=-1)[None].astype(np.uint8)


def _segments(film_uid: str, segmentation: Segmentation) -> Iterator[SegmentDescription]:
    for number, label in LABELS.items():
        if number == HEART and segmentation.heart is None:
            continue
        segment = SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=ANATOMY,
            segmented_property_type=PARTS[number],
            algorithm_type=_algorithm_type(segmentation.provenance),
            algorithm_identification=algorithm(segmentation.provenance),
            display_color=CIELabColor.from_rgb(*COLOURS[number]),
            tracking_uid=tracking_uid(film_uid, segmentation.provenance, label),
            tracking_id=label,
        )
        verdict = VERDICT_TEXTS[segmentation.quality.verdict]
        segment.SegmentDescription = verdict
        if number in SIDES:  # highdicom has no argument for the modifier
            segment.SegmentDescription = (
                f"{DEFINITION_TEXTS[segmentation.provenance.definition]}. {verdict}"
            )
            segment.SegmentedPropertyTypeCodeSequence[
                0
            ].SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(SIDES[number])]
        yield segment


def _algorithm_type(provenance: Provenance) -> SegmentAlgorithmTypeValues:
    types = SegmentAlgorithmTypeValues
    return types.SEMIAUTOMATIC if provenance.edited else types.AUTOMATIC


def part_probabilities(segmentation: Segmentation) -> list[NDArray[np.float32]]:
    """Right lung, left lung and, if the weights have one, heart: (H, W) float32 in [0, 1] each.

    They are copies of the network's maps before clean-up. A map of both lungs is split: each pixel
    belongs to the lung whose mask is nearer, and is 0 for the other.
    """
    names = check_definition(segmentation.channels, segmentation.provenance.definition)
    maps = [segmentation.probabilities[segmentation.channels.index(name)].copy() for name in names]
    if len(maps) == 1:
        near_right = _nearer(segmentation.right, segmentation.left)
        maps = [np.where(near_right, maps[0], 0), np.where(near_right, 0, maps[0])]
    if segmentation.heart is not None:
        maps.append(segmentation.probabilities[segmentation.channels.index("heart")].copy())
    return [np.clip(channel, 0, 1).astype(np.float32, copy=False) for channel in maps]


def _nearer(right: Mask, left: Mask) -> Mask:
    """(H, W) bool: nearer to `right`; the film's left half if a mask is empty."""
    if right.any() and left.any():
        nearer: Mask = distance_transform_edt(~right) <= distance_transform_edt(~left)
        return nearer
    width = right.shape[1]
    return np.broadcast_to(np.arange(width) < width / 2, right.shape)
