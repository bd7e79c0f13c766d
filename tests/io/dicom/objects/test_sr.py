"""DICOM Structured Reports, read back by dcmtk and pydicom."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from tests.io.dicom.objects.drawn import (
    COLUMNS,
    FILM,
    ROWS,
    as_bytes,
    ellipses,
    errors,
    film,
)

from pleura.core.types import Segmentation
from pleura.io.dicom.results import dicom_bytes, dicom_results


def report(*formats: str, **tags: Any) -> tuple[Dataset, list[Dataset], Segmentation]:
    data = as_bytes(film(**tags))
    segmentation = ellipses(data)
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
    segmentation = ellipses(data)
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
