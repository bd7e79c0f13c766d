"""A film that its header calls mirrored: right is the patient's right, on the film as stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset


@pytest.fixture
def upright(films_root: Path) -> FileDataset:
    """A real film whose pixels are stored without compression."""
    return pydicom.dcmread(sorted((films_root / "dicom").glob("nih_*.dcm"))[0])


def segments(run: Callable[..., Any], film: FileDataset, folder: Path) -> Any:
    folder.mkdir()
    film.save_as(folder / "film.dcm")
    assert run("segment", folder / "film.dcm", "-o", folder, "--format", "dicom-seg").code == 0
    return pydicom.dcmread(folder / "film_seg.dcm")


def test_the_header_decides_which_lung_is_right(
    run: Callable[..., Any], upright: FileDataset, tmp_path: Path
) -> None:
    pixels = upright.pixel_array
    plain = segments(run, upright, tmp_path / "plain")
    upright.PixelData = np.ascontiguousarray(pixels[:, ::-1]).tobytes()
    upright.PatientOrientation = ["R", "F"]
    mirrored = segments(run, upright, tmp_path / "mirrored")
    assert plain.pixel_array.any()
    assert np.array_equal(mirrored.pixel_array, plain.pixel_array[..., ::-1])
    assert mirrored.SeriesDescription == plain.SeriesDescription


def test_a_header_that_the_picture_contradicts_asks_for_a_review(
    run: Callable[..., Any], upright: FileDataset, tmp_path: Path
) -> None:
    upright.PatientOrientation = ["R", "F"]
    result = segments(run, upright, tmp_path / "wrong")
    assert result.SeriesDescription == "Pleura: Lungs (please review)"
    assert "heart lies on the patient's right" in result.ImageComments
