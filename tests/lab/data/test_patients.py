"""Films of one patient stay together: PatientID, patterns of names, and warnings."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from pleura.core.errors import UsageError
from pleura.lab.data.check import check
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.lab.data.patients import dominant_patients, shared_prefixes
from pleura.lab.data.split import split

PATIENTS, EACH = 12, 3


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Three pictures of each of twelve patients: P00_0, P00_1, ..."""
    for part in ("images", "masks"):
        (tmp_path / "clinic" / part).mkdir(parents=True)
        for patient in range(PATIENTS):
            for number in range(EACH):
                name = f"P{patient:02}_{number}.png"
                Image.new("L", (8, 8), 9).save(tmp_path / "clinic" / part / name)
    return tmp_path / "clinic"


@pytest.fixture
def dicom(named: Path) -> Path:
    """The same as DICOM files without a suffix in their names that tells the patient."""
    for number, path in enumerate(sorted((named / "images").iterdir())):
        data = pydicom.Dataset()
        data.PatientID = f"ID {number // EACH}"
        data.Modality = "DX"
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = pydicom.uid.DigitalXRayImageStorageForPresentation
        data.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        path.unlink()
        data.save_as(path.with_suffix(".dcm"), enforce_file_format=True)
    return named


def run(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pleura", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def parts_by_patient(table: Path) -> dict[str, set[str]]:
    parts: dict[str, set[str]] = {}
    with table.open() as file:
        for row in csv.DictReader(file):
            parts.setdefault(row["id"][:3], set()).add(row["split"])
    return parts


def test_the_patient_of_a_dicom_film_is_its_patient_id(dicom: Path) -> None:
    films = read_films(dicom)
    assert [film.patient for film in films[:4]] == ["ID 0", "ID 0", "ID 0", "ID 1"]
    divided = split(films, test=0.3, val=0.3)
    assert all(
        len({film.split for film in divided if film.patient == one.patient}) == 1 for one in films
    )


def test_a_pattern_keeps_patients_together_and_is_written_down(named: Path) -> None:
    out = named.parent / "split.csv"
    done = run("data", "split", named, "--patient-pattern", "^(P[0-9]+)_", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    assert all(len(parts) == 1 for parts in parts_by_patient(out).values())
    assert len(set(map(str, parts_by_patient(out).values()))) == 3
    films = read_films(named, split=out)
    assert {film.patient for film in films} == {f"P{number:02}" for number in range(PATIENTS)}
    rows = out.read_text().splitlines()
    other = "val" if ",test," in rows[1] else "test"
    rows[1] = f"P00_0,{other},P00"
    out.write_text("\n".join(rows))
    report = check(read_films(named, split=out))
    divided = [error for error in report.errors if error.kind == "patient-across-splits"]
    assert [error.where for error in divided] == ["clinic P00"]


def test_shared_beginnings_of_names_are_reported(named: Path) -> None:
    done = run("data", "split", named, "-o", named.parent / "split.csv")
    assert done.returncode == 0
    assert "12 beginnings of names" in " ".join(done.stderr.split())
    assert "--patient-pattern" in done.stderr
    report = check(named)
    assert sum(finding.kind == "shared-prefix" for finding in report.warnings) == PATIENTS
    assert report.unknown_patients == PATIENTS * EACH
    assert "patients not stated" in run("data", "check", named, "-q").stdout


def test_numbered_films_are_not_taken_for_patients(named: Path) -> None:
    for path in sorted((named / "images").iterdir()):
        path.rename(path.with_name(f"film_{path.stem[1:3]}{path.stem[-1]}.png"))
    for path in (named / "masks").iterdir():
        path.rename(path.with_name(f"film_{path.stem[1:3]}{path.stem[-1]}.png"))
    assert shared_prefixes(read_films(named)) == {}


def film(name: str, patient: str = "") -> Film:
    return Film(name, "clinic", Path(f"{name}.png"), patient=patient)


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (
            ("patient1_study1_view1_frontal", "patient1_study2_view1_frontal", "patient2_study1_a"),
            {"patient1": 2},
        ),
        (("P1_IM000001", "P1_IM000002", "P2_IM000001", "P3_IM000001"), {"P1": 2}),
        (("000001", "000001-12", "000002"), {"000001": 2}),
        (("IM-0147-0001", "IM-0149-0001", "IM-0149-0002"), {"IM-0149": 2}),
        (("CHNCXR_0001_0", "CHNCXR_0002_0", "MCUCXR_0001_0"), {}),
        (("film_0001", "film_0002", "film_0003"), {}),
        (("2024_0001", "2024_0002", "2024_0003"), {}),  # one group is no patient
    ],
)
def test_short_beginnings_that_a_few_films_share(
    names: tuple[str, ...], shared: dict[str, int]
) -> None:
    found = shared_prefixes([film(name) for name in names])
    assert {prefix: len(ids) for prefix, ids in found.items()} == shared


def test_a_batch_of_many_films_is_no_patient() -> None:
    assert shared_prefixes([film(f"b{n % 2}_{n:05}") for n in range(60)]) == {}


def test_one_patient_id_for_all_films_is_reported(dicom: Path) -> None:
    for path in (dicom / "images").iterdir():
        data = pydicom.dcmread(path)
        data.PatientID = "ANON"
        data.save_as(path)
    done = run("data", "split", dicom, "-o", dicom.parent / "split.csv")
    assert done.returncode == 0
    assert "no film is in test, val: 36 films are of 1 patients, 36 of them of ANON" in done.stderr
    found = [one for one in check(dicom).warnings if one.kind == "one-patient"]
    assert [(one.where, one.detail) for one in found] == [("clinic", "ANON: 36 films")]


def test_a_patient_with_many_films_among_others_is_not_reported() -> None:
    films = [film(f"a{n}", "a") for n in range(10)] + [film(f"b{n}", f"b{n}") for n in range(10)]
    assert dominant_patients(films) == {}
    assert dominant_patients([*films, film("c", "a")]) == {"clinic": ("a", 11)}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("^(P[0-9+_", "no regular expression"), ("^Q", "matches 0 of 36 ids.*P00_0")],
)
def test_a_wrong_pattern_is_an_error(named: Path, pattern: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_films(named, patients=pattern)
