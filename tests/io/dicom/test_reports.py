"""Reports and lists of results as other software reads them: PixelMed and highdicom."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from highdicom.ko import KeyObjectSelectionDocument
from highdicom.sr import ComprehensiveSR
from pydicom import Dataset, dcmread

from pleura.core.types import Doubt, HeartQuality, Quality, Segmentation
from pleura.io.dicom.objects.earlier import EarlierReport
from pleura.io.dicom.results import dicom_bytes, dicom_failure, dicom_results, result_uids

PIXELMED = Path("/usr/share/java/pixelmed.jar")
NO_LIMITS = [
    f"-Djdk.xml.xpath{limit}=0" for limit in ("ExprGrpLimit", "ExprOpLimit", "TotalOpLimit")
]
"""Its style sheet is larger than Java allows by default."""

BORDER = Doubt("touches_border", "A lung reaches the edge of the film: check that none is cut.")
EARLIER = [EarlierReport("2.25.11", "2.25.12"), EarlierReport("2.25.11", "2.25.13")]


@pytest.fixture
def reviewed(segmentation: Segmentation) -> Segmentation:
    """A result with a doubt, notes and a heart with its own verdict."""
    heart = HeartQuality("ok")
    return replace(segmentation, quality=Quality("review", 0.84, (BORDER,), heart=heart))


def as_read(made: Dataset) -> Dataset:
    return dcmread(BytesIO(dicom_bytes(made)))


def pixelmed(made: Dataset, folder: Path) -> list[str]:
    """What PixelMed's validator of reports writes."""
    assert PIXELMED.exists(), "PixelMed is not here; on Debian: apt-get install libpixelmed-java"
    (folder / "made.dcm").write_bytes(dicom_bytes(made))
    program = ["-cp", str(PIXELMED), "com.pixelmed.validate.DicomSRValidator"]
    done = subprocess.run(
        ["java", *NO_LIMITS, *program, folder / "made.dcm"], capture_output=True, text=True
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert "Root Template Validation Complete" in lines, lines
    return [line for line in lines if line.startswith("Error")]


def test_pixelmed_finds_no_error_in_a_report(
    drawn_film: Dataset, reviewed: Segmentation, tmp_path: Path
) -> None:
    _, report = dicom_results(drawn_film, reviewed, ["dicom-seg", "dicom-sr"], earlier=EARLIER)
    assert pixelmed(report, tmp_path) == []


def test_pixelmed_finds_no_error_in_the_report_of_a_failure(
    drawn_film: Dataset, reviewed: Segmentation, tmp_path: Path
) -> None:
    drawn_film.Modality = "OT"  # a film whose modality is none of acquisition
    report = dicom_failure(drawn_film, "the reason", reviewed.provenance, earlier=EARLIER)
    assert pixelmed(report, tmp_path) == []


def test_pixelmed_reports_an_error_if_there_is_one(
    drawn_film: Dataset, reviewed: Segmentation, tmp_path: Path
) -> None:
    (report,) = dicom_results(drawn_film, reviewed, ["dicom-sr"])
    for item in report.ContentSequence:
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Procedure reported":
            item.ConceptCodeSequence[0].CodeValue = "399208008"
    assert pixelmed(report, tmp_path) != []


def test_the_report_of_both_lungs_refers_to_both_segments(
    drawn_film: Dataset, reviewed: Segmentation
) -> None:
    _, made = dicom_results(drawn_film, reviewed, ["dicom-seg", "dicom-sr"])
    report = ComprehensiveSR.from_dataset(as_read(made))
    groups = report.content.get_planar_roi_measurement_groups()
    frames = [group.referenced_segmentation_frame for group in groups]
    segments = [frame[0].ReferencedSOPSequence[0].ReferencedSegmentNumber for frame in frames]
    assert segments == [[1, 2], 1, 2, 3]
    assert [group.tracking_identifier for group in groups] == [
        *("Both lungs", "Right lung", "Left lung", "Heart")
    ]


def test_a_key_object_selection_names_the_film_and_all_results(
    drawn_film: Dataset, reviewed: Segmentation
) -> None:
    formats = ["dicom-seg", "dicom-sr", "dicom-sc", "dicom-kos"]
    *others, made = dicom_results(drawn_film, reviewed, formats)
    selection = KeyObjectSelectionDocument.from_dataset(as_read(made))
    named = selection.content.get_references()
    assert [item.referenced_sop_instance_uid for item in named] == [
        *(drawn_film.SOPInstanceUID, *(result.SOPInstanceUID for result in others))
    ]
    for result in others:  # the evidence has the series of each
        where = (drawn_film.StudyInstanceUID, result.SeriesInstanceUID, result.SOPInstanceUID)
        assert selection.resolve_reference(result.SOPInstanceUID) == where
    (title,) = selection.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodeMeaning, selection.Modality) == (
        "113000",
        "Of Interest",
        "KO",
    )
    assert selection.PatientID == "7"
    assert selection.SOPInstanceUID == result_uids(drawn_film, reviewed.provenance, formats)[-1]
    (alone,) = result_uids(drawn_film, reviewed.provenance, ["dicom-kos"])
    assert alone != selection.SOPInstanceUID  # another list, another UID


def test_a_report_does_not_name_itself(drawn_film: Dataset, reviewed: Segmentation) -> None:
    (uid,) = result_uids(drawn_film, reviewed.provenance, ["dicom-sr"])
    again = [EarlierReport("2.25.7", str(uid))]
    (report,) = dicom_results(drawn_film, reviewed, ["dicom-sr"], earlier=again)
    assert "PredecessorDocumentsSequence" not in report
    (report,) = dicom_results(drawn_film, reviewed, ["dicom-sr"], earlier=[*again, *EARLIER])
    (study,) = as_read(report).PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    named = [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence]
    assert (series.SeriesInstanceUID, named) == ("2.25.11", ["2.25.12", "2.25.13"])
