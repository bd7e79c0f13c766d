"""Real films as devices spoil them, through the doors people use: the same lungs, or a look."""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    VLPhotographicImageStorage,
)

import pleura
from pleura.apps.cli.main import main

SAME = 0.98
"""Dice of two readings of one film."""


@pytest.fixture(scope="module")
def film(films_root: Path) -> np.ndarray:
    path = films_root / "shenzhen_montgomery" / "CXR_png" / "CHNCXR_0318_0.png"
    return np.asarray(Image.open(path).convert("L"))


@pytest.fixture(scope="module")
def lungs(film: np.ndarray) -> np.ndarray:
    return pleura.segment(film).mask


def dicom(pixels: np.ndarray, **tags: Any) -> bytes:
    """A DX film of 16 bits."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    made.Modality, made.BodyPartExamined, made.ViewPosition = "DX", "CHEST", "PA"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    made.PixelData = pixels.astype("<u2").tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def agree(one: np.ndarray, other: np.ndarray) -> float:
    """Dice."""
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_letters_at_the_end_of_the_range_do_not_darken_the_lungs(
    film: np.ndarray, lungs: np.ndarray, photometric: str
) -> None:
    deep = film.astype(int) * 16
    if photometric == "MONOCHROME1":
        deep = deep.max() - deep
    deep[:60, :160] = 65_535  # 4% of the film
    result = pleura.segment(dicom(deep, PhotometricInterpretation=photometric))
    assert agree(result.mask, lungs) > SAME
    assert np.asarray(result.overlay())[300:, 250:].mean() > 60  # people see the film too


def test_letters_in_a_dark_jpeg_do_not_darken_the_lungs(
    film: np.ndarray, lungs: np.ndarray
) -> None:
    image = Image.fromarray((film // 4).astype(np.uint8))
    drawn = ImageDraw.Draw(image)
    for line in range(4):
        drawn.text((5, 2 + 30 * line), "PORTABLE AP 12:30", fill=255, font_size=28)
    file = BytesIO()
    image.save(file, "JPEG", quality=95)
    assert agree(pleura.segment(file.getvalue()).mask, lungs) > SAME


def segmented(
    folder: Path, films: dict[str, bytes], *options: str, code: int = 0
) -> dict[str, dict[str, str]]:
    """The rows of `pleura segment`, by film."""
    for name, data in films.items():
        (folder / "films").mkdir(exist_ok=True)
        (folder / "films" / f"{name}.dcm").write_bytes(data)
    command = ["segment", str(folder / "films"), "-o", str(folder / "out"), "-q", *options]
    assert main(command) == code
    with (folder / "out" / "results.csv").open() as table:
        return {row["film"]: row for row in csv.DictReader(table)}


def test_a_position_that_the_header_contradicts_is_to_review(
    film: np.ndarray, tmp_path: Path
) -> None:
    deep = film.astype(int) * 16
    rows = segmented(
        tmp_path,
        {
            "usual": dicom(deep, PatientOrientation=["L", "F"]),
            "mirrored": dicom(deep[:, ::-1], PatientOrientation=["R", "F"]),
            "flipped": dicom(deep[:, ::-1], FieldOfViewHorizontalFlip="YES"),
            "turned": dicom(deep[::-1, ::-1], PatientOrientation=["R", "H"]),
            "ribs": dicom(deep, BodyPartExamined="RIBCAGE"),
        },
    )
    assert rows["usual"]["verdict"] == rows["ribs"]["verdict"] == "ok"
    for name, code in (("flipped", "said_mirrored"), ("turned", "said_turned")):
        assert rows[name]["verdict"] in ("review", "refused"), name
        assert code in rows[name]["doubts"] or rows[name]["verdict"] == "refused", name
    assert rows["mirrored"]["verdict"] == "ok"  # mirrored for the network, as its header asks for
    assert rows["flipped"]["verdict"] == "review"
    assert "no PatientOrientation states the position" in rows["flipped"]["notes"]


def test_force_reads_a_dicom_photograph_and_another_part(film: np.ndarray, tmp_path: Path) -> None:
    rgb = np.dstack([film, 255 - film, np.roll(film, 60, axis=0)])
    photo = dicom(film, SOPClassUID=VLPhotographicImageStorage, Modality="XC")
    made = dcmread(BytesIO(photo))
    made.SamplesPerPixel, made.PlanarConfiguration, made.PhotometricInterpretation = 3, 0, "RGB"
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = rgb.tobytes()
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    knee = dicom(film.astype(int), BodyPartExamined="KNEE")
    films = {"photo": file.getvalue(), "knee": knee}
    failed = segmented(tmp_path, films, code=3)
    assert {row["status"] for row in failed.values()} == {"failed"}
    assert all("--force" in row["error"] for row in failed.values())
    done = segmented(tmp_path, films, "--force", "--overwrite")
    assert {row["status"] for row in done.values()} == {"done"}
    assert "colour photograph" in done["photo"]["notes"]
    assert "BodyPartExamined is KNEE" in done["knee"]["notes"]


def test_data_check_names_masks_that_mark_the_background(
    film: np.ndarray, lungs: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, mask in (("good", lungs), ("bad", ~lungs)):
        for part, pixels in (("images", film), ("masks", np.uint8(mask * 255))):
            (tmp_path / name / part).mkdir(parents=True)
            Image.fromarray(pixels).save(tmp_path / name / part / "a.png")
    assert main(["data", "check", str(tmp_path / "good"), "-q"]) == 0
    assert main(["data", "check", str(tmp_path / "bad"), "-q"]) == 1
    assert "inverted-mask" in capsys.readouterr().out
