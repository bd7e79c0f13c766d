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
from scipy.ndimage import distance_transform_edt

from pleura.core.arrays import Mask
from pleura.core.masks.cleanup import check_definition
from pleura.core.types import Provenance, Segmentation
from pleura.io.dicom.objects.common import (
    AI,
    ANATOMY,
    COLOURS,
    DEFINED_AS,
    LABELS,
    MAKER,
    NOT_FOR_DIAGNOSIS,
    PARTS,
    SAID,
    SIDES,
    comment,
    parameters,
    stamp,
)
from pleura.io.images.write_masks import HEART, label_map

__all__ = ["algorithm", "dicom_seg", "part_probabilities"]


_TYPES: dict[str, SegmentationTypeValues] = {
    "dicom-seg": SegmentationTypeValues.BINARY,
    "dicom-seg-fractional": SegmentationTypeValues.FRACTIONAL,
    "dicom-seg-labelmap": SegmentationTypeValues.LABELMAP,
}


def dicom_seg(film: Dataset, found: Segmentation, *, name: str = "dicom-seg") -> Dataset:
    """A Segmentation of `film`, of `io.dicom.source.FilmHeader`: segment 1 right, 2 left, 3 heart.

    `dicom-seg` holds a bit a pixel and segment; `dicom-seg-fractional` probabilities in steps of
    1/255; `dicom-seg-labelmap` the label map. A segment is there even where its mask is empty; the
    heart's only where the weights have a heart. Rows and columns are the film's, pixel for pixel;
    there is no frame of reference and no position, since a projection has none, and
    no spacing: the film's holds. A plane is there for viewers alone, and says nothing new.
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
    _add_plane(seg)
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


def _add_plane(seg: Dataset) -> None:
    """Say that the rows run along x and the columns along y, for all frames, in place.

    A projection has no position in space, and the standard does not ask for a plane without a frame
    of reference. The SEG reader of cornerstone3D, and so OHIF, cannot read a SEG without one.
    """
    plane = Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence = [plane]


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


def part_probabilities(found: Segmentation) -> list[NDArray[np.float32]]:
    """Right lung, left lung and, where the weights have one, heart: each (H, W) float32 in [0, 1].

    They are the network's maps before clean-up, in new arrays. One map of both lungs is shared out:
    each pixel goes to the nearer lung's mask and is 0 in the other's.
    """
    names = check_definition(found.channels, found.provenance.definition)
    maps = [found.probabilities[found.channels.index(each)].copy() for each in names]
    if len(maps) == 1:
        near_right = _nearer(found.right, found.left)
        maps = [np.where(near_right, maps[0], 0), np.where(near_right, 0, maps[0])]
    if found.heart is not None:
        maps.append(found.probabilities[found.channels.index("heart")].copy())
    return [np.clip(each, 0, 1).astype(np.float32, copy=False) for each in maps]


def _nearer(right: Mask, left: Mask) -> Mask:
    """(H, W) bool: nearer to `right`; by the film's halves where a mask is empty."""
    if right.any() and left.any():
        nearer: Mask = distance_transform_edt(~right) <= distance_transform_edt(~left)
        return nearer
    width = right.shape[1]
    return np.broadcast_to(np.arange(width) < width / 2, right.shape)
