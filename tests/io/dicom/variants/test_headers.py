"""Text, body parts and positions that depart from the DICOM standard."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
)
from tests.io.dicom.variants.films import as_bytes, made, ramp, read

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.decoder_process import read_in_process
from pleura.io.dicom.body_parts import another_part, is_chest
from pleura.io.dicom.received import check_received_file
from pleura.io.read import read_radiograph


def with_text(keyword: str, raw: bytes, **tags: Any) -> bytes:
    """A film with `raw` as the value of a text attribute, whatever the character set says."""
    mark = "Q" * (len(raw) + len(raw) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = as_bytes(made(ramp(), **{keyword: mark}, **tags))
    assert data.count(mark.encode()) == 1
    return data.replace(mark.encode(), raw.ljust(len(mark)))


TEXTS = {
    "utf-8": "Медтех".encode(),
    "latin-1": "Müller & Söhne".encode("latin-1"),
    "shift-jis": "富士フイルム表".encode("shift_jis"),
    "iso-2022": "東芝".encode("iso2022_jp"),
    "gbk": "俓小".encode("gbk"),
    "control": b"ACME\r\n\x00\x07",
    "long": b"A" * 80,
}


@pytest.mark.parametrize("charset", [None, "ISO_IR 192", "ISO-8859-1", "ISO 2022 IR 87", "KOI8"])
@pytest.mark.parametrize(
    "keyword",
    [
        *("Manufacturer", "ManufacturerModelName", "InstitutionName", "BodyPartExamined"),
        *("ViewPosition", "Laterality", "PresentationLUTShape", "VOILUTFunction", "PatientName"),
        "PixelSpacingCalibrationType",
    ],
)
def test_text_that_cannot_be_decoded_does_not_fail_a_film(
    keyword: str, charset: str | None
) -> None:
    for name, raw in TEXTS.items():
        data = with_text(keyword, raw, **({"SpecificCharacterSet": charset} if charset else {}))
        assert np.array_equal(read_radiograph(data).pixels, ramp()), name
        assert check_received_file(data).uid == "1.2.3.4"


def test_modality_is_still_checked() -> None:
    with pytest.raises(UnreadableFilm, match="Modality holds no sensible value"):
        read_radiograph(with_text("Modality", b"C\x07"))


CHESTS = """TORACE POITRINE BORSTKAS KLATKA_PIERSIOWA HRUDNIK MELLKAS AKCİĞER KEUHKOT CXR TÓRAX
PECHO PEITO LUNGE BRUSTKORB Brystet LUNGS_PORTABLE GÖĞÜS CHEST_ABDOMEN 胸部 ГРУДНАЯ_КЛЕТКА"""

OTHERS = """KNEE GENOU Schädel ABDOMEN Handgelenk RODILLA PELVIS LSPINE THORACIC_SPINE BWS KNIE
HANCHE PIED COUDE NADGARSTEK EXTREMITY LOWER_EXTREMITY HAND_RIGHT 腹部 ГОЛОВА 胸椎"""

UNSAID = "RIBCAGE RIBS WHOLEBODY TRUNK HEART SÉ JANE_ROE_4711 XYZ"


def test_words_for_parts_of_the_body_in_several_languages() -> None:
    for value in CHESTS.split():
        plain = value.replace("_", " ")
        assert (is_chest(plain), another_part(plain)) == (True, None), plain
    for value in OTHERS.split():
        assert another_part(value.replace("_", " ")), value
    for value in UNSAID.split():
        plain = value.replace("_", " ")
        assert (is_chest(plain), another_part(plain)) == (False, None), plain


@pytest.mark.parametrize("part", ["RIBCAGE", "RIBS", "WHOLEBODY", "JANE ROE 4711"])
def test_an_unknown_part_is_a_note_that_does_not_quote_it(part: str) -> None:
    film = read(ramp(), BodyPartExamined=part)
    (note,) = film.notes
    assert note == "BodyPartExamined is not a known value; a chest film was assumed"


def test_force_reads_another_part_and_a_photograph() -> None:
    data = as_bytes(made(ramp(), BodyPartExamined="GENOU"))
    with pytest.raises(UnsuitableFilm, match=r"BodyPartExamined is GENOU") as refused:
        read_radiograph(data)
    assert refused.value.can_force
    with pytest.raises(UnsuitableFilm, match=r"BodyPartExamined is GENOU") as refused:
        read_in_process(data)
    assert refused.value.can_force
    film = read_radiograph(data, photographs=True)
    assert film.notes == (
        "BodyPartExamined is GENOU; the film was read because this was requested",
    )
    grey = ramp() // 13
    photo = np.dstack([grey, 255 - grey, np.roll(grey, 20, axis=0)]).astype(np.uint8)
    film = made(ramp(), SOPClassUID=VLPhotographicImageStorage, Modality="XC")
    film.SamplesPerPixel, film.PlanarConfiguration = 3, 0
    film.PhotometricInterpretation = "RGB"
    film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
    film.PixelData = photo.tobytes()
    data = as_bytes(film)
    with pytest.raises(UnsuitableFilm, match=r"VL Photographic") as refused:
        read_radiograph(data)
    assert refused.value.can_force
    assert "colour photograph" in read_radiograph(data, photographs=True).notes[0]
    with pytest.raises(UnsuitableFilm, match="modality CT") as refused:
        read_radiograph(as_bytes(made(ramp(), Modality="CT")), photographs=True)
    assert not refused.value.can_force


@pytest.mark.parametrize("frames", [b"1 ", b"01", b"  ", b"0 ", b"1."])
def test_an_invalid_number_of_frames_means_one(frames: bytes) -> None:
    kind = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    film = made(ramp(), SOPClassUID=kind, Modality="OT", NumberOfFrames=77)
    data = as_bytes(film)
    assert data.count(b"IS\x02\x0077") == 1
    data = data.replace(b"IS\x02\x0077", b"IS\x02\x00" + frames)
    assert np.array_equal(read_radiograph(data).pixels, ramp())
    with pytest.raises(UnsuitableFilm, match="77 frames"):
        read_radiograph(as_bytes(film))


@pytest.mark.parametrize(
    ("tags", "doubts"),
    [
        ({"PatientOrientation": ["L", "F"]}, ()),
        ({"PatientOrientation": ["L", "FP"], "FieldOfViewHorizontalFlip": "YES"}, ()),
        ({"PatientOrientation": ["R", "F"]}, ("said_mirrored",)),
        ({"PatientOrientation": ["RA", ""]}, ("said_mirrored",)),
        ({"PatientOrientation": ["R", "H"]}, ("said_turned",)),
        ({"PatientOrientation": ["F", "R"]}, ("said_turned",)),
        ({"PatientOrientation": ["", ""], "FieldOfViewHorizontalFlip": "NO"}, ()),
        ({"FieldOfViewHorizontalFlip": "YES"}, ("said_mirrored",)),
        ({"FieldOfViewHorizontalFlip": "NO", "FieldOfViewRotation": "90"}, ("said_turned",)),
        ({"FieldOfViewRotation": "0"}, ()),
        ({"FieldOfViewRotation": "360"}, ()),
        (
            {"FieldOfViewHorizontalFlip": "YES", "FieldOfViewRotation": "180"},
            ("said_mirrored", "said_turned"),
        ),
    ],
)
def test_an_unusual_position_in_the_header_gives_a_doubt(
    tags: dict[str, Any], doubts: tuple[str, ...]
) -> None:
    film = read(ramp(), **tags)
    assert film.doubts == doubts
    assert np.array_equal(film.pixels, ramp())  # nothing is turned
    assert len(film.notes) == len(doubts)
