"""Real films; each test is skipped, with the reason, if there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pleura.core.errors import FilmError, UnsuitableFilm
from pleura.io.read import read_radiograph
from pleura.io.run.find import find_films

READABLE = {  # file -> (H, W), as its header says
    "CR-MONO1-10-chest_nopreamble.dcm": (440, 440),
    "RG1_J2KI_chest_mono1.dcm": (1955, 1841),
    "RG1_JLSN_chest_mono1.dcm": (1955, 1841),
    "nih_udacity_test1.dcm": (1024, 1024),
    "nih_udacity_test2.dcm": (1024, 1024),
    "nih_udacity_test3.dcm": (1024, 1024),
    "nih_udacity_test4.dcm": (1024, 1024),
}
REFUSED = {
    "neg_RG2_JPLL_hip.dcm": "BodyPartExamined is HIP",
    "neg_RG3_RLE_leg_mono1.dcm": "BodyPartExamined is EXTREMITY",
    "nih_udacity_test5.dcm": "modality CT",
}
NO_WORD = "BodyPartExamined is not a known value; a chest film was assumed"


def lungs_are_dark(pixels: np.ndarray) -> bool:
    """In a frontal film the middle third of a lung is darker than the spine beside it."""
    height, width = pixels.shape
    rows = slice(height // 3, height // 2)
    lung = pixels[rows, width // 5 : width // 3]
    spine = pixels[rows, int(width * 0.45) : int(width * 0.55)]
    return bool(np.median(lung) < np.median(spine))


@pytest.mark.parametrize("name", READABLE)
def test_dicom_films_are_read_bright_where_dense(films_root: Path, name: str) -> None:
    film = read_radiograph(films_root / "dicom" / name)
    assert film.size == READABLE[name]
    assert lungs_are_dark(film.pixels)
    assert film.view in ("PA", None)
    assert film.spacing is None  # none of them has one above 0
    assert film.notes == ((NO_WORD,) if name == "nih_udacity_test4.dcm" else ())


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_a_chest_film_is_refused_with_the_reason(
    films_root: Path, name: str
) -> None:
    with pytest.raises(UnsuitableFilm, match=REFUSED[name]):
        read_radiograph(films_root / "dicom" / name)


def test_every_file_of_the_folder_is_accounted_for(films_root: Path) -> None:
    films = {film.path.name for film in find_films([films_root / "dicom"]).films}
    assert films == {*READABLE, *REFUSED}


@pytest.mark.parametrize(
    ("name", "part", "size"),
    [
        ("neg_RG2_JPLL_hip.dcm", b"HIP ", (2140, 1760)),
        ("neg_RG3_RLE_leg_mono1.dcm", b"EXTREMITY ", (1760, 1760)),
    ],
)
def test_jpeg_lossless_and_rle_decode(
    films_root: Path, name: str, part: bytes, size: tuple[int, int]
) -> None:
    """The two that are refused are read once their tag is altered to say chest."""
    data = (films_root / "dicom" / name).read_bytes()
    element = b"CS" + len(part).to_bytes(2, "little")
    assert data.count(element + part) == 1
    chest = b"CHEST".ljust(len(part)) if len(part) > 5 else b"LUNG"
    film = read_radiograph(data.replace(element + part, element + chest))
    assert film.size == size


def test_two_compressions_of_one_film_agree(films_root: Path) -> None:
    j2k, jls = (
        read_radiograph(films_root / "dicom" / f"RG1_{name}_chest_mono1.dcm").pixels
        for name in ("J2KI", "JLSN")
    )
    assert np.abs(j2k - jls).mean() < 0.005 * np.ptp(j2k)  # both lossy


def test_the_same_pixels_under_altered_tags_are_read_with_a_note(films_root: Path) -> None:
    """File 4 repeats the pixels of 1, and says RIBCAGE."""
    film = read_radiograph(films_root / "dicom" / "nih_udacity_test4.dcm")
    assert film.notes == (NO_WORD,)
    first = read_radiograph(films_root / "dicom" / "nih_udacity_test1.dcm")
    assert np.array_equal(film.pixels, first.pixels)


@pytest.mark.parametrize("name", [*READABLE, *REFUSED])
def test_the_error_for_truncated_dicom_is_one_sentence(films_root: Path, name: str) -> None:
    data = (films_root / "dicom" / name).read_bytes()
    for share in (0.05, 0.5, 0.95):
        with pytest.raises(FilmError) as refusal:
            read_radiograph(data[: int(len(data) * share)])
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("folder", "size"),
    [
        ("shenzhen_montgomery/CXR_png", (512, 512)),
        ("jsrt/images", (224, 224)),
        ("openist/images", None),
        ("covid/images", None),
        ("pediatric/images", None),
    ],
)
def test_a_film_of_each_source_is_read(
    films_root: Path, folder: str, size: tuple[int, int] | None
) -> None:
    films = find_films([films_root / folder]).films
    assert len(films) > 100
    film = read_radiograph(films[len(films) // 2].path)
    assert film.pixels.dtype == np.float32
    assert min(film.size) >= 200
    assert size in (None, film.size)
    assert lungs_are_dark(film.pixels)


def test_a_manifest_is_a_list_of_films(films_root: Path) -> None:
    films = find_films([films_root / "openist" / "manifest.csv"]).films
    assert len(films) == 137
    assert all(film.name.startswith("images/") for film in films)
