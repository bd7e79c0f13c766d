"""DICOM Segmentations, read back by highdicom, pydicom and viewers."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from tests.io.dicom.objects.drawn import FILM, as_bytes, ellipses, film, result_of

from pleura.core.frame import ProbabilityMaps
from pleura.io.dicom.results import dicom_bytes, dicom_results


def test_highdicom_and_pydicom_read_the_same_masks() -> None:
    data = as_bytes(film())
    segmentation = ellipses(data)
    (result,) = dicom_results(data, segmentation, ["dicom-seg"])
    seg = highdicom.seg.segread(BytesIO(dicom_bytes(result)))
    back = seg.get_pixels_by_source_instance([FILM], assert_missing_frames_are_empty=True)
    masks = np.stack([segmentation.right, segmentation.left, segmentation.heart], axis=-1)
    assert np.array_equal(back[0], masks)
    assert np.array_equal(
        dcmread(BytesIO(dicom_bytes(result))).pixel_array, masks.transpose(2, 0, 1)
    )


def codes(item: Dataset) -> tuple[str, str]:
    return item.CodeValue, item.CodingSchemeDesignator


def test_segments_have_labels_and_codes() -> None:
    seg, _ = result_of("dicom-seg")
    right, left, heart = seg.SegmentSequence
    for segment in (right, left, heart):
        (category,) = segment.SegmentedPropertyCategoryCodeSequence
        assert codes(category) == ("91723000", "SCT")
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert codes(algorithm.AlgorithmFamilyCodeSequence[0]) == ("123110", "DCM")
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Pleura", "0.1.0")
        assert f"weights_sha256={'ab' * 32}" in algorithm.AlgorithmParameters
        assert "definition=field" in algorithm.AlgorithmParameters
    for segment, side in ((right, "24028007"), (left, "7771000")):
        (kind,) = segment.SegmentedPropertyTypeCodeSequence
        assert codes(kind) == ("39607008", "SCT")
        assert codes(kind.SegmentedPropertyTypeModifierCodeSequence[0]) == (side, "SCT")
        assert segment.SegmentDescription.startswith("lung field")
    assert codes(heart.SegmentedPropertyTypeCodeSequence[0]) == ("80891009", "SCT")
    assert (
        "SegmentedPropertyTypeModifierCodeSequence"
        not in heart.SegmentedPropertyTypeCodeSequence[0]
    )


def test_a_seg_without_a_heart_has_two_segments() -> None:
    seg, segmentation = result_of("dicom-seg", heart=False)
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["Right lung", "Left lung"]
    assert np.array_equal(seg.pixel_array, [segmentation.right, segmentation.left])


def test_a_lung_that_was_not_found_is_an_empty_segment() -> None:
    data = as_bytes(film())
    segmentation = ellipses(data)
    bare = replace(
        segmentation, lungs=replace(segmentation.lungs, left=np.zeros_like(segmentation.left))
    )
    (result,) = dicom_results(data, bare, ["dicom-seg"])
    right, left, heart = dcmread(BytesIO(dicom_bytes(result))).pixel_array
    assert np.array_equal(right, segmentation.right)
    assert not left.any()
    assert np.array_equal(heart, segmentation.heart)


def test_fractions_are_the_probabilities_which_are_not_changed() -> None:
    data = as_bytes(film())
    segmentation = ellipses(data)
    before = np.asarray(segmentation.probabilities)
    (result,) = dicom_results(data, segmentation, ["dicom-seg-fractional"])
    assert np.array_equal(segmentation.probabilities, before)
    seg = dcmread(BytesIO(dicom_bytes(result)))
    assert (seg.SegmentationFractionalType, seg.MaximumFractionalValue) == ("PROBABILITY", 255)
    assert np.array_equal(seg.pixel_array, np.rint(before * 255))  # 0.2 -> 51, 0.8 -> 204


def test_one_map_of_both_lungs_is_split() -> None:
    data = as_bytes(film())
    segmentation = ellipses(data, heart=False)
    field = segmentation.probabilities.stored.max(axis=0)
    shared = replace(segmentation, probabilities=ProbabilityMaps(field[None]), channels=("field",))
    (result,) = dicom_results(data, shared, ["dicom-seg-fractional"])
    right, left = dcmread(BytesIO(dicom_bytes(result))).pixel_array
    assert (right[segmentation.right] == 204).all()
    assert (left[segmentation.left] == 204).all()
    assert not np.any((right > 0) & (left > 0))
    assert np.array_equal(right + left, np.rint(field * 255))


def test_the_label_map_has_one_value_for_each_part() -> None:
    labels, segmentation = result_of("dicom-seg-labelmap")
    assert labels.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert np.array_equal(labels.pixel_array == 1, segmentation.right)
    assert np.array_equal(labels.pixel_array == 2, segmentation.left)
    assert segmentation.heart is not None
    assert np.array_equal(labels.pixel_array == 3, segmentation.heart & ~segmentation.mask)


@pytest.mark.parametrize("name", ["dicom-seg", "dicom-seg-fractional", "dicom-seg-labelmap"])
def test_viewers_find_the_plane_of_all_frames(name: str) -> None:
    """cornerstone's reader takes it from here; it fails without it."""
    result, _ = result_of(name)
    (shared,) = result.SharedFunctionalGroupsSequence
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("name", ["dicom-seg", "dicom-seg-fractional", "dicom-seg-labelmap"])
def test_viewers_find_measures_and_no_spacing_is_made_up(name: str) -> None:
    """OHIF's viewport shows nothing, not even the film, if there is no item, or an empty one."""
    known, _ = result_of(name)
    (measures,) = known.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert (measures.PixelSpacing, measures.SliceThickness) == ([2, 2], 1)
    unknown, _ = result_of(name, PixelSpacing=None)
    (measures,) = unknown.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert [(element.keyword, element.value) for element in measures] == [
        ("SpacingBetweenSlices", 1)
    ]
