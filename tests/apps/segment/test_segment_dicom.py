"""`pleura segment` on DICOM: its results beside the others, and nobody's name outside of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from tests.apps.segment.outputs import Run, rows

NAME, UID = "Secretname", "1.2.3.4.5.6"
RESULTS = ("_gsps.dcm", "_sc.dcm", "_seg.dcm", "_sr.dcm")
FORMATS = "mask,overlay,coco,dicom-seg,dicom-sr,dicom-sc,dicom-gsps"


def dicom_film(grey: np.ndarray) -> Dataset:
    film = Dataset()
    film.SOPClassUID, film.StudyInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    film.SeriesInstanceUID, film.Modality = "1.2.3.4", "CR"
    film.PatientName, film.PatientID, film.PatientBirthDate = NAME, NAME, "19701231"
    film.ImagerPixelSpacing = [2, 2]
    film.set_pixel_data(grey, "RGB" if grey.ndim == 3 else "MONOCHROME2", 8)
    film.SOPInstanceUID = UID
    return film


@pytest.fixture
def ward(films: Path) -> Path:
    """A folder: a.png, b.png, deep/a.png, and film.dcm, the same as a.png."""
    with Image.open(films / "a.png") as image:
        film = dicom_film(np.asarray(image))
    film.save_as(films / "film.dcm", enforce_file_format=True)
    return films


def test_dicom_results_lie_beside_the_others(segment: Run, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = segment(ward / "film.dcm", "-o", out, "--format", FORMATS)
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in out.glob("film_*.dcm")) == [f"film{e}" for e in RESULTS]
    right, left = dcmread(out / "film_seg.dcm").pixel_array
    with Image.open(out / "film_mask.png") as mask:
        assert np.array_equal((right | left) * 255, np.asarray(mask))
    row = rows(out)["film"]
    assert (row["spacing_source"], row["uid"]) == ("ImagerPixelSpacing", "")


def test_the_patients_name_is_in_dicom_results_only(
    segment: Run, ward: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = segment(ward / "film.dcm", "-o", out, "--format", FORMATS, "--json")
    files = [path for path in out.iterdir() if path.suffix != ".dcm"]
    assert {file.suffix for file in files} == {".png", ".json", ".csv"}
    contents = [ended.out.encode(), ended.err.encode(), *(file.read_bytes() for file in files)]
    for secret in (NAME, "19701231", UID):
        assert not any(secret.encode() in content for content in contents)


def test_uids_where_they_are_asked_for(segment: Run, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert segment(ward, "-o", out, "--uid").code == 0
    assert {film: row["uid"] for film, row in rows(out).items()} == {
        "a": "",
        "b": "",
        "deep/a": "",
        "film": UID,
    }


def test_a_film_that_is_no_dicom_fails_alone(segment: Run, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = segment(ward, "-o", out, "--format", "mask,dicom-seg")
    assert ended.code == 3
    table = rows(out)
    assert {film: row["status"] for film, row in table.items()} == {
        "a": "failed",
        "b": "failed",
        "deep/a": "failed",
        "film": "done",
    }
    assert "this film is not DICOM; ask for other formats" in table["a"]["error"]
    assert not (out / "a_mask.png").exists()


def test_resume_writes_missing_dicom_files(segment: Run, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (ward / "film.dcm", "-o", out, "--format", "mask,dicom-seg")
    assert segment(*arguments).code == 0
    first = dcmread(out / "film_seg.dcm")
    (out / "film_seg.dcm").unlink()
    assert segment(*arguments, "--resume").code == 0
    again = dcmread(out / "film_seg.dcm")
    assert again.SOPInstanceUID == first.SOPInstanceUID


def test_a_photograph_is_refused_unless_forced(segment: Run, films: Path, tmp_path: Path) -> None:
    with Image.open(films / "a.png") as image:
        grey = np.asarray(image)
    photo = np.dstack([grey, 255 - grey, np.roll(grey, 40, axis=0)])
    dicom_film(photo).save_as(tmp_path / "photo.dcm", enforce_file_format=True)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    for name in ("photo.dcm", "photo.png"):
        ended = segment(tmp_path / name, "-o", tmp_path / f"refused {name}")
        assert ended.code == 3
        assert (
            "; with --force it is segmented anyway"
            in rows(tmp_path / f"refused {name}")["photo"]["error"]
        )
        out = tmp_path / f"forced {name}"
        assert segment(tmp_path / name, "-o", out, "--force").code == 0
        assert "colour photograph" in rows(out)["photo"]["notes"]


def test_a_picture_that_pleura_made_is_no_film(segment: Run, ward: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert segment(ward / "film.dcm", "-o", out, "--format", "dicom-sc").code == 0
    again = tmp_path / "again"
    assert segment(out / "film_sc.dcm", "-o", again).code == 3
    assert "a picture that Pleura made itself" in rows(again)["film_sc"]["error"]
