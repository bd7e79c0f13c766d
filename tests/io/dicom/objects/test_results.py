"""DICOM results: which there are, and whether dciodvfy finds errors in them."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import (
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)
from tests.io.dicom.objects.drawn import (
    COLUMNS,
    FILM,
    NAME,
    ROWS,
    STUDY,
    as_bytes,
    ellipses,
    errors,
    film,
    result_of,
)

from pleura.core.errors import UnsuitableFilm, UsageError
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.results import dicom_bytes, dicom_results

READABLE = (
    "CR-MONO1-10-chest_nopreamble.dcm",
    "RG1_J2KI_chest_mono1.dcm",
    "RG1_JLSN_chest_mono1.dcm",
    "nih_udacity_test1.dcm",
    "nih_udacity_test2.dcm",
    "nih_udacity_test3.dcm",
)

UNKNOWN_TO_DCIODVFY = "Error - Information Object Not found"

FROM_ZERO = "Error - SegmentNumber not monotonically increasing from one by one"
"""Label maps are of 2024, and number their background 0; Debian's dciodvfy is of 2022."""


@pytest.mark.parametrize("name", READABLE)
def test_no_error_in_any_result_of_a_real_film(films_root: Path, name: str, tmp_path: Path) -> None:
    path = films_root / "dicom" / name
    segmentation = ellipses(path)
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
        result, _ = result_of(name, SOPClassUID=kind, NumberOfFrames=1, Modality="OT")
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
    for kind, result in zip(formats, dicom_results(data, ellipses(data), formats), strict=True):
        assert (kind, errors(result, tmp_path / "result.dcm")) == (kind, [])
        assert "FrameOfReferenceUID" not in result


def test_dciodvfy_reports_an_error_if_there_is_one(tmp_path: Path) -> None:
    result, _ = result_of("dicom-seg")
    del result.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    assert errors(result, tmp_path / "result.dcm")


@pytest.mark.parametrize("kind", DICOM_FORMATS)
def test_every_result_lies_in_the_film_s_study(kind: str) -> None:
    result, segmentation = result_of(kind)
    assert result.StudyInstanceUID == STUDY
    assert result.SeriesInstanceUID not in ("1.2.3.4.5", result.SOPInstanceUID)
    assert (str(result.PatientName), result.PatientID) == (NAME, f"{NAME}-7")
    assert (result.PatientBirthDate, result.PatientSex) == ("19701231", "F")
    assert (result.StudyDate, result.AccessionNumber) == ("20260102", "A1")
    assert (result.Manufacturer, result.SoftwareVersions) == ("Pleura", "0.1.0")
    referenced = {
        element.value
        for element in result.iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }
    assert referenced == {FILM}
    invented = {"FrameOfReferenceUID", "ImagePositionPatient"}
    assert not invented & {element.keyword for element in result.iterall()}
    if "Rows" in result:
        rows, columns = segmentation.radiograph.size
        assert result.Columns == columns
        assert result.Rows > rows if kind == "dicom-sc" else result.Rows == rows


def test_the_conformance_statement_has_the_class_of_each_result() -> None:
    page = Path(__file__).resolve().parents[4] / "docs" / "reference" / "conformance.md"
    text, data = page.read_text(encoding="utf-8"), as_bytes(film())
    for name in DICOM_FORMATS:
        (result,) = dicom_results(data, ellipses(data), [name])
        assert f"| `{result.SOPClassUID}` | `{name}` |" in text


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID"])
def test_a_film_without_uids_has_no_results(keyword: str) -> None:
    bare = film(**{keyword: None})
    with pytest.raises(UnsuitableFilm, match=f"no valid {keyword}") as refusal:
        dicom_results(bare, ellipses(as_bytes(film())), ["dicom-seg"])
    assert NAME not in str(refusal.value)


def test_a_film_that_is_not_dicom_has_no_dicom_results() -> None:
    png = BytesIO()
    Image.new("L", (COLUMNS, ROWS)).save(png, "PNG")
    with pytest.raises(UnsuitableFilm, match="this film is not DICOM; ask for other formats"):
        dicom_results(png.getvalue(), ellipses(as_bytes(film())), ["dicom-seg"])


def test_a_result_of_another_film_is_refused() -> None:
    other = film(Rows=ROWS - 1)
    with pytest.raises(
        UnsuitableFilm, match="95 x 80 pixels, but the one that was segmented 96 x 80"
    ):
        dicom_results(other, ellipses(as_bytes(film())), ["dicom-seg"])


def test_an_error_names_an_unknown_format() -> None:
    with pytest.raises(UsageError, match="no DICOM format 'dicom-srx'; did you mean 'dicom-sr'"):
        dicom_results(film(), ellipses(as_bytes(film())), ["dicom-srx"])


def test_an_error_without_highdicom_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith(
            ("highdicom", "pleura.io.dicom.objects.seg", "pleura.io.dicom.objects.gsps")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(UsageError, match=r"need highdicom.* pip install \"pleura\[pacs\]\""):
        dicom_results(film(), ellipses(as_bytes(film())), ["dicom-seg"])
