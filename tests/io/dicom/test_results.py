"""DICOM results, read back by other software: pydicom, highdicom, dciodvfy and dcmtk."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ImplicitVRLittleEndian,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from pleura.core.errors import UnsuitableFilm, UsageError
from pleura.core.frame import ProbabilityMaps
from pleura.core.masks.contours import fill_outlines
from pleura.core.masks.measure import measure
from pleura.core.types import LungMasks, Provenance, Quality, Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.objects.gsps import MOST_POINTS
from pleura.io.dicom.results import dicom_bytes, dicom_results, result_uids
from pleura.io.dicom.source import FilmHeader, film_header
from pleura.io.film import ReadOptions
from pleura.io.images.write.overlay import marked_overlay, overlay_image
from pleura.io.read import read_film, read_radiograph

READABLE = (
    "CR-MONO1-10-chest_nopreamble.dcm",
    "RG1_J2KI_chest_mono1.dcm",
    "RG1_JLSN_chest_mono1.dcm",
    "nih_udacity_test1.dcm",
    "nih_udacity_test2.dcm",
    "nih_udacity_test3.dcm",
)
NAME = "Secretname"
ROWS, COLUMNS = 96, 80
STUDY, FILM = "1.2.3.4", "1.2.3.4.5.6"


def film(**tags: Any) -> Dataset:
    """A DX film of 12 bits, low at the top; `tags` add to it or, with None, take away."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", FILM
    made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, "1.2.3.4.5"
    made.PatientName, made.PatientID = NAME, f"{NAME}-7"
    made.PatientBirthDate, made.PatientSex = "19701231", "F"
    made.StudyDate, made.StudyTime, made.AccessionNumber = "20260102", "030405", "A1"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.PatientOrientation = ["L", "F"]
    made.PixelSpacing = [2, 2]
    values = 16 * np.arange(ROWS)[:, None] + np.arange(COLUMNS)[None]  # 0 .. 1520 + 79
    made.set_pixel_data(values.astype("<u2"), "MONOCHROME2", 12)
    made.SOPInstanceUID = FILM  # pydicom gave another with the pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests want what the standard forbids
        for keyword, value in tags.items():
            if value is None:
                delattr(made, keyword)
            else:
                setattr(made, keyword, value)
    return made


def as_bytes(dataset: Dataset) -> bytes:
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def found_in(data: bytes | Path, *, heart: bool = True) -> Segmentation:
    """A result by hand: two ellipses, and a heart that overlaps the left one."""
    radiograph = read_radiograph(data)
    height, width = radiograph.size
    y, x = np.mgrid[0:height, 0:width]
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width
    right = (y / 0.33) ** 2 + ((x - 0.28) / 0.15) ** 2 < 1
    left = (y / 0.30) ** 2 + ((x - 0.72) / 0.14) ** 2 < 1
    middle = ((y - 0.1) / 0.12) ** 2 + ((x - 0.55) / 0.13) ** 2 < 1
    masks = [right, left] + [middle] * heart
    soft = np.clip(0.2 + 0.6 * np.stack(masks), 0, 1).astype(np.float32)  # 0.2 out, 0.8 in
    return Segmentation(
        radiograph=radiograph,
        lungs=LungMasks(right, left, middle if heart else None),
        probabilities=ProbabilityMaps(soft),
        channels=("right_field", "left_field", "heart")[: len(masks)],
        measurements=measure(
            right, left, heart=middle if heart else None, spacing=radiograph.spacing
        ),
        provenance=Provenance("0.1.0", "by hand", "ab" * 32, "none", "field"),
        quality=Quality("ok", 0.97),
    )


def one(name: str, *, heart: bool = True, **tags: Any) -> tuple[Dataset, Segmentation]:
    """One result of the drawn film, through bytes, and what it was made of."""
    data = as_bytes(film(**tags))
    segmentation = found_in(data, heart=heart)
    (result,) = dicom_results(data, segmentation, [name])
    return dcmread(BytesIO(dicom_bytes(result))), segmentation


def errors(result: bytes | Dataset, place: Path) -> list[str]:
    """What dciodvfy calls an error."""
    place.write_bytes(result if isinstance(result, bytes) else dicom_bytes(result))
    process = subprocess.run(["dciodvfy", place], capture_output=True, encoding="latin-1")
    lines = (process.stdout + process.stderr).splitlines()
    assert lines, "dciodvfy names the kind of object at least"
    return [line for line in lines if line.startswith("Error")]


UNKNOWN_TO_DCIODVFY = "Error - Information Object Not found"
FROM_ZERO = "Error - SegmentNumber not monotonically increasing from one by one"
"""Label maps are of 2024, and number their background 0; Debian's dciodvfy is of 2022."""


@pytest.mark.parametrize("name", READABLE)
def test_no_error_in_any_result_of_a_real_film(films_root: Path, name: str, tmp_path: Path) -> None:
    path = films_root / "dicom" / name
    segmentation = found_in(path)
    formats = list(DICOM_FORMATS)
    results = dicom_results(path, segmentation, formats)
    for kind, result in zip(formats, results, strict=True):
        reported = errors(result, tmp_path / "result.dcm")
        if kind == "dicom-seg-labelmap":
            reported = [e for e in reported if not e.startswith((UNKNOWN_TO_DCIODVFY, FROM_ZERO))]
        assert (kind, reported) == (kind, [])
    seg = dcmread(BytesIO(dicom_bytes(results[0])))
    assert np.array_equal(
        seg.pixel_array, [segmentation.right, segmentation.left, segmentation.heart]
    )
    assert (seg.Rows, seg.Columns) == segmentation.radiograph.size


def test_a_film_of_a_multi_frame_class_has_valid_results(tmp_path: Path) -> None:
    kind = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    for name in DICOM_FORMATS:
        result, _ = one(name, SOPClassUID=kind, NumberOfFrames=1, Modality="OT")
        reported = errors(result, tmp_path / "result.dcm")
        if name == "dicom-seg-labelmap":
            reported = [e for e in reported if not e.startswith((UNKNOWN_TO_DCIODVFY, FROM_ZERO))]
        assert (name, reported) == (name, [])
        named = [
            element.value
            for element in result.iterall()
            if element.keyword == "ReferencedSOPClassUID"
        ]
        assert kind in named
        assert SecondaryCaptureImageStorage not in named


LUT = {"LUTDescriptor": [4096, 0, 12], "LUTData": list(range(4096))}


def lut(**more: str) -> list[Dataset]:
    item = Dataset()
    for keyword, value in {**LUT, **more}.items():
        setattr(item, keyword, value)
    item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
    return [item]


@pytest.mark.parametrize(
    "tags",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"WindowCenter": "700", "WindowWidth": "1300", "VOILUTFunction": "SIGMOID"},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-7", "RescaleType": "OD"},
        {"VOILUTSequence": lut()},
        {"ModalityLUTSequence": lut(ModalityLUTType="US")},
        {"LossyImageCompression": "01", "LossyImageCompressionRatio": "11"},
        {"PatientOrientation": None, "PixelSpacing": None, "ImagerPixelSpacing": [2, 2]},
        {"FrameOfReferenceUID": "1.2.9", "PatientSex": "female", "PatientBirthDate": "1970.12.31"},
        {"PatientName": "Müller^Jürgen", "SpecificCharacterSet": "ISO_IR 100"},
    ],
    ids=lambda tags: "-".join(tags)[:40],
)
def test_results_of_films_with_invalid_headers_have_no_error(
    tags: dict[str, Any], tmp_path: Path
) -> None:
    data = as_bytes(film(**tags))
    formats = [name for name in DICOM_FORMATS if name != "dicom-seg-labelmap"]
    for kind, result in zip(formats, dicom_results(data, found_in(data), formats), strict=True):
        assert (kind, errors(result, tmp_path / "result.dcm")) == (kind, [])
        assert "FrameOfReferenceUID" not in result


def test_dciodvfy_reports_an_error_if_there_is_one(tmp_path: Path) -> None:
    result, _ = one("dicom-seg")
    del result.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    assert errors(result, tmp_path / "result.dcm")


def test_highdicom_and_pydicom_read_the_same_masks() -> None:
    data = as_bytes(film())
    segmentation = found_in(data)
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
    seg, _ = one("dicom-seg")
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
    seg, segmentation = one("dicom-seg", heart=False)
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["Right lung", "Left lung"]
    assert np.array_equal(seg.pixel_array, [segmentation.right, segmentation.left])


def test_a_lung_that_was_not_found_is_an_empty_segment() -> None:
    data = as_bytes(film())
    segmentation = found_in(data)
    bare = replace(
        segmentation, lungs=replace(segmentation.lungs, left=np.zeros_like(segmentation.left))
    )
    (result,) = dicom_results(data, bare, ["dicom-seg"])
    right, left, heart = dcmread(BytesIO(dicom_bytes(result))).pixel_array
    assert np.array_equal(right, segmentation.right)
    assert not left.any()
    assert np.array_equal(heart, segmentation.heart)


@pytest.mark.parametrize("kind", DICOM_FORMATS)
def test_every_result_lies_in_the_film_s_study(kind: str) -> None:
    result, segmentation = one(kind)
    assert result.StudyInstanceUID == STUDY
    assert result.SeriesInstanceUID not in ("1.2.3.4.5", result.SOPInstanceUID)
    assert (str(result.PatientName), result.PatientID) == (NAME, f"{NAME}-7")
    assert (result.PatientBirthDate, result.PatientSex) == ("19701231", "F")
    assert (result.StudyDate, result.AccessionNumber) == ("20260102", "A1")
    assert (result.Manufacturer, result.SoftwareVersions) == ("Pleura", "0.1.0")
    referenced = {
        element.value for element in every(result) if element.keyword == "ReferencedSOPInstanceUID"
    }
    assert referenced == {FILM}
    invented = {"FrameOfReferenceUID", "ImagePositionPatient"}
    assert not invented & {element.keyword for element in every(result)}
    if "Rows" in result:
        rows, columns = segmentation.radiograph.size
        assert result.Columns == columns
        assert result.Rows > rows if kind == "dicom-sc" else result.Rows == rows


def every(dataset: Dataset) -> Iterator[Any]:
    """All elements, those in sequences too."""
    return dataset.iterall()


def test_fractions_are_the_probabilities_which_are_not_changed() -> None:
    data = as_bytes(film())
    segmentation = found_in(data)
    before = np.asarray(segmentation.probabilities)
    (result,) = dicom_results(data, segmentation, ["dicom-seg-fractional"])
    assert np.array_equal(segmentation.probabilities, before)
    seg = dcmread(BytesIO(dicom_bytes(result)))
    assert (seg.SegmentationFractionalType, seg.MaximumFractionalValue) == ("PROBABILITY", 255)
    assert np.array_equal(seg.pixel_array, np.rint(before * 255))  # 0.2 -> 51, 0.8 -> 204


def test_one_map_of_both_lungs_is_split() -> None:
    data = as_bytes(film())
    segmentation = found_in(data, heart=False)
    field = segmentation.probabilities.stored.max(axis=0)
    shared = replace(segmentation, probabilities=ProbabilityMaps(field[None]), channels=("field",))
    (result,) = dicom_results(data, shared, ["dicom-seg-fractional"])
    right, left = dcmread(BytesIO(dicom_bytes(result))).pixel_array
    assert (right[segmentation.right] == 204).all()
    assert (left[segmentation.left] == 204).all()
    assert not np.any((right > 0) & (left > 0))
    assert np.array_equal(right + left, np.rint(field * 255))


def test_the_label_map_has_one_value_for_each_part() -> None:
    labels, segmentation = one("dicom-seg-labelmap")
    assert labels.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert np.array_equal(labels.pixel_array == 1, segmentation.right)
    assert np.array_equal(labels.pixel_array == 2, segmentation.left)
    assert segmentation.heart is not None
    assert np.array_equal(labels.pixel_array == 3, segmentation.heart & ~segmentation.mask)


def test_the_picture_is_the_overlay() -> None:
    sc, segmentation = one("dicom-sc", PatientOrientation=["R", "F"])
    assert np.array_equal(sc.pixel_array, marked_overlay(segmentation))
    assert np.array_equal(sc.pixel_array[:ROWS], overlay_image(segmentation))
    assert (sc.Rows > ROWS, sc.Columns) == (True, COLUMNS)
    assert sc.PixelSpacing == [2, 2]  # the film's: rows are added, none is squeezed
    assert list(sc.PatientOrientation) == ["R", "F"]
    assert "BurnedInAnnotation" not in sc
    burnt, _ = one("dicom-sc", BurnedInAnnotation="YES")
    assert burnt.BurnedInAnnotation == "YES"
    with pytest.raises(UnsuitableFilm, match="a picture that Pleura made itself"):
        read_radiograph(dicom_bytes(sc))


def test_the_lines_enclose_the_masks() -> None:
    gsps, segmentation = one("dicom-gsps")
    drawn = {item.GraphicLayer: lines(item) for item in gsps.GraphicAnnotationSequence}
    assert segmentation.heart is not None
    masks = {
        "RIGHT LUNG": segmentation.right,
        "LEFT LUNG": segmentation.left,
        "HEART": segmentation.heart,
    }
    assert drawn.keys() == masks.keys()
    for layer, mask in masks.items():
        assert np.array_equal(fill_outlines(drawn[layer], *mask.shape), mask)
    colours = [item.GraphicLayerRecommendedDisplayCIELabValue for item in gsps.GraphicLayerSequence]
    assert len({tuple(colour) for colour in colours}) == 3


def lines(annotation: Dataset) -> list[np.ndarray]:
    """Closed polygons, of lines that may go on in the next one."""
    polygons: list[np.ndarray] = []
    for item in annotation.GraphicObjectSequence:
        assert item.GraphicType == "POLYLINE"
        assert item.NumberOfGraphicPoints <= MOST_POINTS
        points = np.reshape(item.GraphicData, (-1, 2))
        if polygons and not np.array_equal(polygons[-1][0], polygons[-1][-1]):
            polygons[-1] = np.concatenate([polygons[-1], points[1:]])
        else:
            polygons.append(points)
    return [polygon[:-1] for polygon in polygons]


def test_a_long_line_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 8 * MOST_POINTS <= 65534  # bytes that explicit VR can tell
    monkeypatch.setattr("pleura.io.dicom.objects.gsps.MOST_POINTS", 10)
    gsps, segmentation = one("dicom-gsps")
    right = gsps.GraphicAnnotationSequence[0]
    assert len(right.GraphicObjectSequence) > 5
    assert max(item.NumberOfGraphicPoints for item in right.GraphicObjectSequence) == 10
    assert np.array_equal(fill_outlines(lines(right), ROWS, COLUMNS), segmentation.right)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_presentation_state_keeps_bone_white(photometric: str, tmp_path: Path) -> None:
    data = as_bytes(film(PhotometricInterpretation=photometric, PatientName="A^B"))
    (result,) = dicom_results(data, found_in(data), ["dicom-gsps"])
    for name, content in {"film": data, "state": dicom_bytes(result)}.items():
        (tmp_path / name).write_bytes(content)
    command = ["dcmp2pgm", "-q", "-p", tmp_path / "state", tmp_path / "film", tmp_path / "pgm"]
    subprocess.run(command, check=True)
    shown = np.asarray(Image.open(tmp_path / "pgm"), float).ravel()
    assert np.corrcoef(shown, read_radiograph(data).pixels.ravel())[0, 1] > 0.99


def report(*formats: str, **tags: Any) -> tuple[Dataset, list[Dataset], Segmentation]:
    data = as_bytes(film(**tags))
    segmentation = found_in(data)
    *others, sr = dicom_results(data, segmentation, formats)
    return dcmread(BytesIO(dicom_bytes(sr))), others, segmentation


def html(sr: Dataset, place: Path) -> str:
    place.write_bytes(dicom_bytes(sr))
    return subprocess.run(["dsr2html", place], capture_output=True, text=True, check=True).stdout


def numbers(sr: Dataset) -> list[tuple[str, str, float]]:
    """(concept, unit, value) of every measurement in a report, in its order."""
    numbers = []
    (measurements,) = [
        entry
        for entry in sr.ContentSequence
        if entry.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    for element in measurements.iterall():
        if element.keyword == "ContentSequence":
            for item in element.value:
                if item.ValueType == "NUM":
                    (value,) = item.MeasuredValueSequence
                    unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                    name = item.ConceptNameCodeSequence[0].CodeValue
                    numbers.append((name, unit, float(value.NumericValue)))
    return numbers


def test_a_report_holds_the_measurements_with_their_units(tmp_path: Path) -> None:
    sr, _, segmentation = report("dicom-sr")
    measured = segmentation.measurements
    area, px, cm2 = "42798000", "{pixels}", "cm2"
    assert measured.lungs_area_cm2 == pytest.approx(measured.lungs_area_px * 0.04)  # 2 x 2 mm
    assert numbers(sr) == [
        (area, cm2, pytest.approx(measured.lungs_area_cm2)),
        (area, px, measured.lungs_area_px),
        ("right-over-left", "{ratio}", pytest.approx(measured.right_to_left_ratio, rel=1e-5)),
        ("estimated-dice", "{ratio}", 0.97),
        (area, cm2, pytest.approx(measured.right_area_cm2)),
        (area, px, measured.right_area_px),
        (area, cm2, pytest.approx(measured.left_area_cm2)),
        (area, px, measured.left_area_px),
        (area, px, measured.heart_area_px),
        ("cardiothoracic", "{ratio}", pytest.approx(measured.cardiothoracic_ratio, rel=1e-5)),
    ]
    page = html(sr, tmp_path / "sr.dcm")
    assert f"{measured.lungs_area_px}.0" in page
    assert "Imaging procedure" in page
    assert sr.PerformedProcedureCodeSequence[0].CodeMeaning == "Plain chest X-ray"
    assert "millimetres=PixelSpacing" in page


def test_a_report_lists_the_film_in_its_image_library() -> None:
    sr, _, _ = report("dicom-sr")
    (library,) = [
        entry
        for entry in sr.ContentSequence
        if entry.ConceptNameCodeSequence[0].CodeValue == "111028"
    ]
    (group,) = library.ContentSequence
    (image,) = group.ContentSequence
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == FILM
    sizes = [entry.MeasuredValueSequence[0].NumericValue for entry in image.ContentSequence[1:]]
    assert sizes == [ROWS, COLUMNS]


def test_a_report_without_spacing_has_no_centimetres() -> None:
    sr, _, _ = report("dicom-sr", PixelSpacing=None)
    assert {unit for _, unit, _ in numbers(sr)} == {"{pixels}", "{ratio}"}


def test_a_report_holds_the_notes_on_the_film(tmp_path: Path) -> None:
    data = as_bytes(film(PatientOrientation=["R", "F"]))
    segmentation = found_in(data)
    (note,) = segmentation.radiograph.notes
    assert "mirrored" in note
    (sr,) = dicom_results(
        data,
        replace(segmentation, lungs=replace(segmentation.lungs, notes=(note, "another note"))),
        ["dicom-sr"],
    )
    last = dcmread(BytesIO(dicom_bytes(sr))).ContentSequence[-2:]
    assert [item.TextValue for item in last] == [note, "another note"]
    assert note in html(sr, tmp_path / "sr.dcm")
    assert errors(sr, tmp_path / "sr.dcm") == []


def test_a_report_refers_to_the_segments_made_with_it(tmp_path: Path) -> None:
    sr, (seg,), _ = report("dicom-seg", "dicom-sr")
    segments = [
        item.ReferencedSegmentNumber
        for element in sr.iterall()
        if element.keyword == "ReferencedSOPSequence"
        for item in element.value
        if item.ReferencedSOPInstanceUID == seg.SOPInstanceUID and "ReferencedSegmentNumber" in item
    ]
    assert segments == [[1, 2], 1, 2, 3]  # both lungs, then each part
    assert "SG image" in html(sr, tmp_path / "sr.dcm")
    alone, _, _ = report("dicom-sr")
    assert alone.SOPInstanceUID != sr.SOPInstanceUID  # another content, another UID


def test_the_same_film_and_weights_give_the_same_uids() -> None:
    data = as_bytes(film())
    segmentation = found_in(data)
    formats = list(DICOM_FORMATS)
    first, again = (dicom_results(data, segmentation, formats) for _ in range(2))
    uids = [result.SOPInstanceUID for result in first]
    assert [result.SOPInstanceUID for result in again] == uids
    for one, other in zip(first, again, strict=True):  # series and dimensions too
        every = [[e.value for e in made.iterall() if e.VR == "UI"] for made in (one, other)]
        assert every[0] == every[1]
    assert result_uids(data, segmentation.provenance, formats) == uids
    assert result_uids(film(), segmentation.provenance, reversed(formats)) == uids
    assert len(set(uids)) == len(formats)
    assert all(UID(uid).is_valid for uid in uids)


@pytest.mark.parametrize(
    "other",
    [
        {"version": "0.2.0"},
        {"weights_sha256": "cd" * 32},
        {"definition": "whole"},
        {"flip": True},
    ],
)
def test_other_versions_weights_and_options_give_other_uids(other: dict[str, Any]) -> None:
    made_by = Provenance("0.1.0", "by hand", "ab" * 32, "none", "field")
    data = as_bytes(film())
    mine, theirs = (
        result_uids(data, by, ["dicom-seg"]) for by in (made_by, replace(made_by, **other))
    )
    assert mine != theirs
    another_film = result_uids(film(SOPInstanceUID="1.2.3.4.5.7"), made_by, ["dicom-seg"])
    assert another_film != mine


def test_the_conformance_statement_has_the_class_of_each_result() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "conformance.md"
    text, data = page.read_text(encoding="utf-8"), as_bytes(film())
    for name in DICOM_FORMATS:
        (result,) = dicom_results(data, found_in(data), [name])
        assert f"| `{result.SOPClassUID}` | `{name}` |" in text


def test_segments_and_groups_of_the_report_share_their_tracking_uids() -> None:
    data = as_bytes(film())
    seg, sr = dicom_results(data, found_in(data), ["dicom-seg", "dicom-sr"])
    segments = {item.TrackingID: item.TrackingUID for item in seg.SegmentSequence}
    assert list(segments) == ["Right lung", "Left lung", "Heart"]
    reported = [element.value for element in sr.iterall() if element.keyword == "UID"]
    assert [uid for uid in reported if uid in segments.values()] == list(segments.values())


def test_an_engine_changes_no_uid() -> None:
    made_by = Provenance("0.1.0", "by hand", "ab" * 32, "openvino 2026.1", "field")
    updated = replace(made_by, engine="onnxruntime 1.23")
    data, formats = as_bytes(film()), list(DICOM_FORMATS)
    assert result_uids(data, made_by, formats) == result_uids(data, updated, formats)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID"])
def test_a_film_without_uids_has_no_results(keyword: str) -> None:
    bare = film(**{keyword: None})
    with pytest.raises(UnsuitableFilm, match=f"no valid {keyword}") as refusal:
        dicom_results(bare, found_in(as_bytes(film())), ["dicom-seg"])
    assert NAME not in str(refusal.value)


def test_a_film_that_is_not_dicom_has_no_dicom_results() -> None:
    png = BytesIO()
    Image.new("L", (COLUMNS, ROWS)).save(png, "PNG")
    with pytest.raises(UnsuitableFilm, match="this film is none; ask for other formats"):
        dicom_results(png.getvalue(), found_in(as_bytes(film())), ["dicom-seg"])


def test_a_result_of_another_film_is_refused() -> None:
    other = film(Rows=ROWS - 1)
    with pytest.raises(
        UnsuitableFilm, match="95 x 80 pixels, but the one that was segmented 96 x 80"
    ):
        dicom_results(other, found_in(as_bytes(film())), ["dicom-seg"])


def test_an_error_names_an_unknown_format() -> None:
    with pytest.raises(UsageError, match="no DICOM format 'dicom-srx'; did you mean 'dicom-sr'"):
        dicom_results(film(), found_in(as_bytes(film())), ["dicom-srx"])


def test_an_error_without_highdicom_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(
            ("highdicom", "pleura.io.dicom.objects.seg", "pleura.io.dicom.objects.gsps")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UsageError, match=r"need highdicom.* pip install \"pleura\[pacs\]\""):
        dicom_results(film(), found_in(as_bytes(film())), ["dicom-seg"])


def test_names_are_kept_and_appear_in_no_message(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    data = as_bytes(film(PatientName="Müller", SpecificCharacterSet="ISO_IR 100"))
    (result,) = dicom_results(data, found_in(data), ["dicom-seg"])
    back = dcmread(BytesIO(dicom_bytes(result)))
    assert str(back.PatientName) == "Müller"
    assert "Müller" not in caplog.text
    assert NAME not in caplog.text
    wrong = as_bytes(film(PatientBirthDate="31/12/1970", PatientSex=NAME))
    caplog.clear()
    dicom_results(wrong, found_in(wrong), ["dicom-seg"])  # pydicom would warn of both, and quote
    assert "31/12/1970" not in caplog.text
    assert NAME not in caplog.text
    assert FILM not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_values_of_an_older_standard_are_corrected_or_left_empty() -> None:
    odd = film(
        PatientSex="female",
        ReferringPhysicianName="x" * 80,
        PatientBirthDate="1970.12.31",  # as before DICOM 3
        StudyDate="some day",
    )
    data = as_bytes(odd)
    (result,) = dicom_results(data, found_in(data), ["dicom-seg"])
    assert result.PatientBirthDate == "19701231"
    assert not result.StudyDate
    assert not result.PatientSex
    assert result.get_item("ReferringPhysicianName").value == b"x" * 80
    read = read_film(data, ReadOptions(header=True)).radiograph
    assert "identity_changed" in read.doubts
    note = "PatientSex, StudyDate of the film cannot be repeated in DICOM results"
    assert note in read.notes


@pytest.mark.parametrize(
    ("keyword", "value", "charset"),
    [
        ("AccessionNumber", b"ACC0001\\ACC0002", None),
        ("AccessionNumber", b"A1234567890123456", None),
        ("PatientID", b"AB\\CD", None),
        ("PatientID", b"P" * 65, None),
        ("PatientName", b"Doe^Jane\\Roe^Jane", None),
        ("PatientName", "表^太郎".encode("shift_jis"), None),
        ("PatientName", "表^太郎".encode("shift_jis"), b"ISO_IR 13"),
        ("PatientName", "俓^小".encode("gbk"), b"GB18030"),
        ("PatientName", "俓^小".encode("gbk"), None),
        ("PatientName", "Müller".encode("latin1"), b"ISO-8859-1"),
        ("PatientName", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\\ISO 2022 IR 87"),
        ("StudyDescription", b"CHEST PA\\PORTABLE", None),
        ("PatientName", b"\x80\x81^\xff\xfe", b"OUR_OWN_CODE"),
    ],
)
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.filterwarnings("ignore:Unknown encoding")  # of this test's own reading
def test_identity_is_repeated_byte_for_byte(
    keyword: str, value: bytes, charset: bytes | None, implicit: bool
) -> None:
    """Read here, by way of a decoder process, and written and read again as a node does."""
    value += b" " * (len(value) % 2)
    charset = charset and charset + b" " * (len(charset) % 2)
    odd = film()
    for name, raw in ((keyword, value), ("SpecificCharacterSet", charset)):
        if raw:
            tag = Tag(name)
            odd[tag] = RawDataElement(tag, dictionary_VR(name), len(raw), raw, 0, False, True)
    odd.set_original_encoding(implicit, True, odd._character_set)  # else pydicom converts the text
    if implicit:
        odd.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data = as_bytes(odd)
    header = read_film(data, ReadOptions(header=True)).dicom_header()
    for source in (data, header, FilmHeader.from_bytes(header.to_bytes())):
        for result in dicom_results(source, found_in(data), ["dicom-seg", "dicom-sr", "dicom-sc"]):
            again = dcmread(BytesIO(dicom_bytes(dcmread(BytesIO(dicom_bytes(result))))))
            assert again.get_item(keyword).value == value
            kept = dcmread(BytesIO(data)).get("SpecificCharacterSet")
            assert again.get("SpecificCharacterSet") == kept


def item(*, implicit: bool = False, **values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        if isinstance(value, bytes):
            tag = Tag(keyword)
            raw = RawDataElement(tag, dictionary_VR(keyword), len(value), value, 0, False, True)
            made[tag] = raw
        else:
            setattr(made, keyword, value)
    made.set_original_encoding(implicit, True, made._character_set)
    return made


DESCRIPTION = "胸部".encode("shift_jis") + b"  "
"""Six bytes of text in a character set that the film does not declare."""

PROCEDURE = {"CodeValue": b"CXR1", "CodingSchemeDesignator": b"L ", "CodeMeaning": b"Chest "}


@pytest.mark.parametrize("implicit", [False, True])
def test_the_request_of_a_film_is_repeated_byte_for_byte(implicit: bool) -> None:
    request = item(
        implicit=implicit,
        RequestedProcedureID=b"RP\\7",
        RequestedProcedureDescription=DESCRIPTION,
        ScheduledProcedureStepID=b"S1",
        RequestedProcedureCodeSequence=[item(**PROCEDURE), item(CodeValue=b"no")],
        PatientComments="private",
    )
    odd = film(
        RequestAttributesSequence=[request], ProcedureCodeSequence=[item(**PROCEDURE), Dataset()]
    )
    odd.set_original_encoding(implicit, True, odd._character_set)
    if implicit:
        odd.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data = as_bytes(odd)
    header = read_film(data, ReadOptions(header=True)).dicom_header()
    for source in (data, header, FilmHeader.from_bytes(header.to_bytes())):
        for result in dicom_results(source, found_in(data), ["dicom-seg", "dicom-sr", "dicom-sc"]):
            again = dcmread(BytesIO(dicom_bytes(result)))
            (procedure,) = again.ProcedureCodeSequence
            assert procedure.get_item("CodeMeaning").value == b"Chest "
            is_report = again.Modality == "SR"
            name = "ReferencedRequestSequence" if is_report else "RequestAttributesSequence"
            assert ("RequestAttributesSequence" in again) != is_report
            (repeated,) = again[name].value
            assert repeated.get_item("RequestedProcedureID").value == b"RP\\7"
            assert repeated.get_item("RequestedProcedureDescription").value == DESCRIPTION
            (code,) = repeated.RequestedProcedureCodeSequence
            assert code.get_item("CodeValue").value == b"CXR1"
            assert "PatientComments" not in repeated
            if is_report:
                assert repeated.StudyInstanceUID == STUDY
                assert repeated.get_item("AccessionNumber").value == b"A1"


def test_results_that_repeat_a_request_have_no_error(tmp_path: Path) -> None:
    request = item(
        RequestedProcedureID=b"RP7 ",
        ScheduledProcedureStepID=b"S1",
        RequestedProcedureCodeSequence=[item(**PROCEDURE)],
    )
    data = as_bytes(film(RequestAttributesSequence=[request], ProcedureCodeSequence=[request]))
    assert "ProcedureCodeSequence" not in film_header(data).patient  # a code needs a value
    for result in dicom_results(data, found_in(data), ["dicom-seg", "dicom-sr", "dicom-sc"]):
        assert errors(result, tmp_path / "result.dcm") == []


def test_a_colour_film_has_a_picture_but_no_presentation_state() -> None:
    grey = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 250
    colour = film(SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    colour.set_pixel_data(np.repeat(grey[..., None], 3, axis=2).astype("u1"), "RGB", 8)
    data = as_bytes(colour)
    segmentation = found_in(data)
    assert len(dicom_results(data, segmentation, ["dicom-seg", "dicom-sc", "dicom-sr"])) == 3
    with pytest.raises(UnsuitableFilm, match="this one is in colour"):
        dicom_results(data, segmentation, ["dicom-gsps"])


@pytest.mark.parametrize("name", ["dicom-seg", "dicom-seg-fractional", "dicom-seg-labelmap"])
def test_viewers_find_the_plane_of_all_frames(name: str) -> None:
    """cornerstone's reader takes it from here; it fails without it."""
    result, _ = one(name)
    (shared,) = result.SharedFunctionalGroupsSequence
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("name", ["dicom-seg", "dicom-seg-fractional", "dicom-seg-labelmap"])
def test_viewers_find_measures_and_no_spacing_is_made_up(name: str) -> None:
    """OHIF's viewport shows nothing, not even the film, if there is no item, or an empty one."""
    known, _ = one(name)
    (measures,) = known.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert (measures.PixelSpacing, measures.SliceThickness) == ([2, 2], 1)
    unknown, _ = one(name, PixelSpacing=None)
    (measures,) = unknown.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert [(element.keyword, element.value) for element in measures] == [
        ("SpacingBetweenSlices", 1)
    ]
