"""Every format in which Pleura writes masks is read for training and scoring, pixel for pixel."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

import pleura
from pleura.core.errors import DataError
from pleura.lab.data.check import check
from pleura.lab.data.labels import target_for
from pleura.lab.data.layouts import read_films
from pleura.phantom.film import draw

LABELS = {"right_field": 1, "left_field": 2, "heart": 3}


@pytest.fixture(scope="module")
def result() -> pleura.Segmentation:
    pixels = draw(200, 190, seed=3).radiograph.pixels
    return pleura.segment(pixels)


@pytest.fixture
def data(tmp_path: Path, result: pleura.Segmentation) -> Path:
    """`images/a.png` and an empty `masks/`."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    pixels = result.radiograph.pixels
    grey = 255 * (pixels - pixels.min()) / np.ptp(pixels)
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "images" / "a.png")
    return tmp_path


@pytest.mark.parametrize("written", ["labels", "npy", "nifti"])
def test_a_label_map_gives_both_lungs_and_the_heart(
    data: Path, result: pleura.Segmentation, written: str
) -> None:
    result.save(data / "masks" / "a", formats=[written])
    (film,) = read_films(data)
    targets = film.read_labels().targets
    assert set(targets) == set(LABELS)
    assert np.array_equal(targets["right_field"], result.right)
    assert np.array_equal(targets["left_field"], result.left)
    assert result.heart is not None
    assert np.array_equal(targets["heart"], result.heart & ~result.mask)
    assert {finding.kind for finding in check(data).findings} <= {"many-pieces", "specks"}


@pytest.mark.parametrize("written", ["labels", "npy", "nifti"])
def test_a_manifest_may_name_any_of_them(
    data: Path, result: pleura.Segmentation, written: str
) -> None:
    (path,) = result.save(data / "masks" / "anything", formats=[written])
    labels = ";".join(f"{name}={value}" for name, value in LABELS.items())
    rows = f"id,image,mask,labels\na,images/a.png,masks/{path.name},{labels}\n"
    (data / "manifest.csv").write_text(rows)
    (film,) = read_films(data)
    assert np.array_equal(film.read_labels().targets["left_field"], result.left)


def test_a_mask_for_each_lung(data: Path, result: pleura.Segmentation) -> None:
    result.save(data / "masks" / "a", formats=["split"])
    (film,) = read_films(data)
    labels = film.read_labels()
    assert np.array_equal(labels.targets["right_field"], result.right)
    assert np.array_equal(labels.targets["left_field"], result.left)
    assert np.array_equal(target_for(labels, "field"), result.mask)


def test_a_dicom_segmentation(data: Path, result: pleura.Segmentation) -> None:
    film = Dataset()
    film.SOPClassUID = ComputedRadiographyImageStorage
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.SOPInstanceUID = generate_uid()
    film.Modality, film.BodyPartExamined, film.ViewPosition = "CR", "CHEST", "PA"
    film.set_pixel_data(np.asarray(Image.open(data / "images" / "a.png")), "MONOCHROME2", 8)
    file = BytesIO()
    dcmwrite(file, film, enforce_file_format=True)
    (path,) = result.save(data / "masks" / "a", formats=["dicom-seg"], film=file.getvalue())
    assert dcmread(path).SegmentationType == "BINARY"
    (read,) = read_films(data)
    targets = read.read_labels().targets
    assert np.array_equal(targets["right_field"], result.right)
    assert np.array_equal(targets["left_field"], result.left)


def test_a_label_map_without_a_heart_leaves_it_unlabelled(
    data: Path, result: pleura.Segmentation
) -> None:
    labels = result.right * 1 + result.left * 2
    np.save(data / "masks" / "a_labels.npy", labels.astype(np.uint8))
    (film,) = read_films(data)
    assert set(film.read_labels().targets) == {"right_field", "left_field"}
    assert target_for(film.read_labels(), "heart") is None


def test_other_files_of_a_run_are_no_masks_without_film(
    data: Path, result: pleura.Segmentation
) -> None:
    result.save(data / "masks" / "a", formats=["mask", "split"])
    findings = check(data).findings
    unused = [finding for finding in findings if finding.kind == "mask-not-used"]
    assert [finding.where.rsplit("/")[-1] for finding in unused] == [
        "a_left.png",
        "a_right.png",
    ]
    assert not [finding for finding in findings if finding.level == "error"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((200, 190), 0.5), "not integers"),
        (np.zeros((2, 200, 190), np.uint8), "has the shape"),
        (np.zeros((200, 190), complex), "complex128"),
        (np.array([{"a": 1}]), "damaged"),
    ],
)
def test_arrays_that_are_no_masks_are_refused(data: Path, array: np.ndarray, message: str) -> None:
    np.save(data / "masks" / "a.npy", array, allow_pickle=True)
    (film,) = read_films(data)
    with pytest.raises(DataError, match=message):
        film.read_labels()
    (finding,) = check(data).errors
    assert finding.kind == "unreadable-mask"


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_arrays_of_any_numbers(data: Path, result: pleura.Segmentation, kind: type) -> None:
    np.save(data / "masks" / "a.npy", result.mask.astype(kind)[None, ..., None])
    (film,) = read_films(data)
    assert np.array_equal(film.read_labels().targets["field"], result.mask)
