"""The header of DICOM films: spacing, view, body part and orientation."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from tests.io.dicom.films import COLUMNS, NAME, ROWS, dataset, ramp, read, written

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.read import read_radiograph


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, None),
        ({"PixelSpacing": [2.0, 3.0]}, (2.0, 3.0, "PixelSpacing")),
        (
            {"PixelSpacing": [2, 2], "PixelSpacingCalibrationType": "GEOMETRY"},
            (2.0, 2.0, "PixelSpacing/GEOMETRY"),
        ),
        ({"PixelSpacing": [2, 2], "ImagerPixelSpacing": [3, 3]}, (2.0, 2.0, "PixelSpacing")),
        ({"ImagerPixelSpacing": [3, 2]}, (3.0, 2.0, "ImagerPixelSpacing")),
        (
            {"PixelSpacing": [3, 3], "ImagerPixelSpacing": [3, 3]},  # the standard's "uncalibrated"
            (3.0, 3.0, "ImagerPixelSpacing"),
        ),
        (
            {"ImagerPixelSpacing": [3, 6], "EstimatedRadiographicMagnificationFactor": "1.5"},
            (2.0, 4.0, "ImagerPixelSpacing/EstimatedRadiographicMagnificationFactor"),
        ),
        (
            {"ImagerPixelSpacing": [3, 3], "EstimatedRadiographicMagnificationFactor": "0"},
            (3.0, 3.0, "ImagerPixelSpacing"),
        ),
        (
            {"NominalScannedPixelSpacing": [2, 2]},
            (2.0, 2.0, "NominalScannedPixelSpacing"),
        ),
        ({"PixelSpacing": [0, 0]}, None),
        ({"PixelSpacing": [-1, 1]}, None),
    ],
)
def test_spacing_and_its_source(tags: dict[str, Any], expected: Any) -> None:
    spacing = read(ramp(), **tags).spacing
    got = spacing and (spacing.row_mm, spacing.col_mm, spacing.source)
    assert got == expected


def test_a_spacing_that_fits_no_chest_is_ignored_with_a_note() -> None:
    film = read(ramp(), PixelSpacing=[0.1, 0.1])
    assert film.spacing is None
    assert film.notes == (
        "PixelSpacing of 0.1 x 0.1 mm would make a film of 6.4 x 4.8 mm; it was ignored",
    )


def view_codes(meaning: str, value: str = "0") -> list[Dataset]:
    code = Dataset()
    code.CodeValue, code.CodeMeaning = value, meaning
    return [code]


@pytest.mark.parametrize(
    ("tags", "view"),
    [
        ({"ViewPosition": "AP"}, "AP"),
        ({"ViewPosition": None}, None),
        ({"ViewPosition": None, "ViewCodeSequence": view_codes("postero-anterior")}, "PA"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("antero-posterior")}, "AP"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("von hinten", "R-40888")}, "PA"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("von vorn", "399348003")}, "AP"),
        ({"ViewPosition": "LLD"}, "LLD"),  # on the side, but from the front
    ],
)
def test_view(tags: dict[str, Any], view: str | None) -> None:
    assert read(ramp(), **tags).view == view


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "CT"}, "modality CT; expected a plain film"),
        ({"Modality": "MG"}, "modality MG"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "of the kind CT Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "of the kind MR Image Storage"),
        ({"BodyPartExamined": "KNEE"}, "BodyPartExamined is KNEE; expected CHEST"),
        ({"NumberOfFrames": 3}, "of 3 frames; expected a film of 1"),
        ({"ViewPosition": "LL"}, "a lateral film, its view is LL"),
        ({"ViewPosition": "RLO"}, "an oblique film"),
        ({"ViewPosition": None, "ViewCodeSequence": view_codes("left lateral")}, "a lateral film"),
        ({"ViewPosition": "", "ViewCodeSequence": view_codes("seitlich", "R-10236")}, "view is LL"),
        (
            {"ViewPosition": None, "ViewCodeSequence": view_codes("antero-posterior oblique")},
            "an oblique film",
        ),
        ({"PatientOrientation": ["A", "F"]}, "a lateral film, its rows run to A"),
        ({"Manufacturer": "Pleura"}, "a picture that Pleura made itself"),
        ({"PixelData": None}, "holds no pixels"),
        ({"Rows": 20}, "too small"),
    ],
)
def test_an_object_that_is_not_a_frontal_chest_film_is_refused(
    tags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsuitableFilm, match=message) as refusal:
        read(ramp(), **tags)
    assert NAME not in str(refusal.value)


def test_a_damaged_length_puts_no_other_value_into_a_message() -> None:
    data = written(ramp(), ViewPosition="PA", Modality="XX", Manufacturer=NAME)
    place = data.index(b"CS\x02\0XX") + 2
    complete = data[:place] + (60).to_bytes(2, "little") + data[place + 2 :]
    with pytest.raises(UnreadableFilm, match="Modality holds no sensible value") as refusal:
        read_radiograph(complete)
    assert NAME not in str(refusal.value)


@pytest.mark.parametrize("part", [None, "", "UNKNOWN", "THORAX", "Chest PA", "LUNG"])
def test_missing_and_imprecise_body_parts_are_accepted(part: str | None) -> None:
    assert read(ramp(), BodyPartExamined=part).size == (ROWS, COLUMNS)


def test_missing_attributes_are_accepted() -> None:
    film = read(ramp(), Modality=None, BodyPartExamined=None, ViewPosition=None)
    assert np.array_equal(film.pixels, ramp())


def test_orientation_is_noted() -> None:
    assert read(ramp(), PatientOrientation=["L", "F"]).notes == ()
    assert "mirrored" in read(ramp(), PatientOrientation=["R", "F"]).notes[0]
    assert "upright" in read(ramp(), PatientOrientation=["L", "H"]).notes[0]
    assert "upright" in read(ramp(), PatientOrientation=["F", "R"]).notes[0]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"ImageLaterality": "R"}, "ImageLaterality says the film shows the right side"),
        ({"Laterality": "L"}, "Laterality says the film shows the left side"),
    ],
)
def test_a_film_of_one_side_is_noted(tags: dict[str, str], message: str) -> None:
    (note,) = read(ramp(), **tags).notes
    assert note.startswith(message)
    assert read(ramp(), ImageLaterality="U", Laterality="").notes == ()


def test_a_mirrored_film_is_not_changed() -> None:
    assert np.array_equal(read(ramp(), PatientOrientation=["R", "F"]).pixels, ramp())


def test_departures_from_the_standard_become_a_note_and_no_warning_or_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    data = written(ramp(), PatientBirthDate="19700101", PixelSpacing=[5.5, 5.5])
    assert b"5.5\\5.5" in data
    data = data.replace(b"5.5\\5.5", b"5,5\\5.5")  # a comma in a decimal string
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        film = read_radiograph(data)
        assert warnings.filters == before
    assert np.array_equal(film.pixels, ramp())
    assert film.spacing is None
    padded = dataset(ramp()).PixelData + bytes(100)
    with pytest.warns(UserWarning, match="excess padding"):
        assert dcmread(BytesIO(written(ramp(), PixelData=padded))).pixel_array is not None
    film = read(ramp(), PixelData=padded)
    assert np.array_equal(film.pixels, ramp())
    assert film.notes == ("the file departs from the DICOM standard, but it could be read",)
    assert NAME not in caplog.text
    assert capfd.readouterr() == ("", "")
