"""Verdict, doubts and notes are in all places of a DICOM result where a reader looks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from pleura.core.types import Doubt, Quality, Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.results import dicom_bytes, dicom_results
from pleura.io.images.write.overlay import overlay_image

BORDER = Doubt("touches_border", "A lung reaches the edge of the film: check that none is cut.")
NO_CHEST = Doubt("not_a_chest_film", "This does not look like a chest film: do not use it.")
QUALITIES = {
    "ok": Quality("ok", 0.971234567),
    "review": Quality("review", 0.84, (BORDER,)),
    "refused": Quality("refused", None, (NO_CHEST, BORDER)),
}
SUFFIXES = {"ok": "", "review": " (please review)", "refused": " (REFUSED, do not use)"}


@pytest.fixture
def results(drawn_film: Dataset, segmentation: Segmentation) -> Callable[..., dict[str, Dataset]]:
    """`results("review")`: every DICOM result of a film, through bytes, by format."""

    def make(verdict: str, notes: tuple[str, ...] = ()) -> dict[str, Dataset]:
        lungs = replace(segmentation.lungs, notes=notes or segmentation.lungs.notes)
        judged = replace(segmentation, quality=QUALITIES[verdict], lungs=lungs)
        made = dicom_results(drawn_film, judged, DICOM_FORMATS)
        return {
            name: dcmread(BytesIO(dicom_bytes(result)))
            for name, result in zip(DICOM_FORMATS, made, strict=True)
        }

    return make


@pytest.mark.parametrize("verdict", QUALITIES)
def test_the_series_description_warns(results: Any, verdict: str) -> None:
    for name, made in results(verdict).items():
        assert made.SeriesDescription.startswith("Pleura: "), name
        ending = (
            made.SeriesDescription.partition(" (")[1] + made.SeriesDescription.partition(" (")[2]
        )
        assert ending == SUFFIXES[verdict], name
        assert len(made.SeriesDescription) <= 64  # LO


@pytest.mark.parametrize("verdict", QUALITIES)
def test_a_segmentation_holds_verdict_doubts_and_notes(results: Any, verdict: str) -> None:
    made = results(verdict)
    for name in ("dicom-seg", "dicom-seg-fractional", "dicom-seg-labelmap", "dicom-sc"):
        lines = made[name].ImageComments.split("\r\n")
        assert lines[0].startswith("Pleura's own verdict: "), name
        assert lines[1:] == [
            *(doubt.text for doubt in QUALITIES[verdict].doubts),
            "a note.",
            "another.",
        ]
    right, left, heart = made["dicom-seg"].SegmentSequence
    for segment in (right, left, heart):
        assert segment.SegmentDescription.endswith(lines[0])
        assert len(segment.SegmentDescription) <= 1024  # ST
    assert right.SegmentDescription.startswith("lung field: heart and mediastinum left out. ")


def test_remarks_longer_than_the_standard_allows_are_cut(results: Any) -> None:
    made = results("ok", notes=tuple(f"{number} " + "x" * 500 for number in range(40)))
    assert len(made["dicom-seg"].ImageComments) == 10_240  # LT


def evaluations(group: Dataset) -> list[tuple[str, str, str]]:
    """(concept, value, scheme) of the codes that a group of measurements holds as evaluations."""
    ours = ("verdict", "doubt")
    return [
        (
            item.ConceptNameCodeSequence[0].CodeValue,
            item.ConceptCodeSequence[0].CodeValue,
            item.ConceptCodeSequence[0].CodingSchemeDesignator,
        )
        for item in group.ContentSequence
        if item.ValueType == "CODE" and item.ConceptNameCodeSequence[0].CodeValue in ours
    ]


@pytest.mark.parametrize("verdict", QUALITIES)
def test_the_report_codes_verdict_and_doubts(results: Any, verdict: str, tmp_path: Path) -> None:
    sr = results(verdict)["dicom-sr"]
    quality = QUALITIES[verdict]
    (groups,) = [
        item.ContentSequence
        for item in sr.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"  # Imaging Measurements
    ]
    both, *others = [evaluations(group) for group in groups]
    assert both == [
        ("verdict", verdict, "99PLEURA"),
        *(("doubt", doubt.code, "99PLEURA") for doubt in quality.doubts),
    ]
    assert others == [[]] * len(others)
    dice = [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in groups[0].ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "estimated-dice"
    ]
    assert dice == ([] if quality.estimated_dice is None else [round(quality.estimated_dice, 6)])
    words = [
        item.TextValue
        for item in sr.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "121106"  # Comment
    ]
    assert words[0].startswith("Pleura's own verdict: ")
    assert words[1:] == [*(doubt.text for doubt in quality.doubts), "a note", "another"]
    sr.save_as(tmp_path / "sr.dcm")
    page = subprocess.run(["dsr2html", tmp_path / "sr.dcm"], capture_output=True, text=True)
    for text in words:
        assert text.replace("'", "&apos;") in page.stdout.replace("&#39;", "&apos;")


@pytest.mark.parametrize("verdict", QUALITIES)
def test_dciodvfy_finds_no_error(results: Any, verdict: str, tmp_path: Path) -> None:
    for name, made in results(verdict).items():
        if name == "dicom-seg-labelmap":  # of 2024; Debian's dciodvfy is older
            continue
        made.save_as(tmp_path / "made.dcm")
        process = subprocess.run(
            ["dciodvfy", tmp_path / "made.dcm"], capture_output=True, text=True
        )
        lines = (process.stdout + process.stderr).splitlines()
        assert lines, name
        assert [line for line in lines if line.startswith("Error")] == [], name


def test_the_picture_has_the_verdict_below_the_film(
    results: Any, segmentation: Segmentation
) -> None:
    plain = np.asarray(overlay_image(segmentation))
    rows = {}
    for verdict in QUALITIES:
        written = results(verdict)["dicom-sc"].pixel_array
        assert np.array_equal(written[: len(plain)], plain)
        assert (written[len(plain) :] > 150).all(axis=-1).any()  # letters
        rows[verdict] = len(written)
    assert len(plain) < rows["ok"] < rows["review"] < rows["refused"]


def test_a_uid_does_not_depend_on_the_remarks(results: Any) -> None:
    ok, refused = results("ok"), results("refused")
    for name, made in ok.items():
        assert made.SOPInstanceUID == refused[name].SOPInstanceUID
