"""Reading DICOM films: stored values, transfer syntaxes, colour."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from tests.io.dicom.films import COLUMNS, NAME, ROWS, compressed, dataset, ramp, read, written

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.read import read_radiograph


def test_stored_values_are_read_without_identity() -> None:
    film = read(ramp())
    assert np.array_equal(film.pixels, ramp())
    assert film.pixels.dtype == np.float32
    assert (film.view, film.spacing, film.notes) == ("PA", None, ())
    assert NAME not in repr(film)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_every_uncompressed_syntax(syntax: str) -> None:
    assert np.array_equal(read(ramp(), syntax=syntax).pixels, ramp())


def test_uncompressed_films_are_read_in_several_threads_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    kinds = [
        {"syntax": syntax, "RescaleSlope": slope, "PhotometricInterpretation": photometric}
        for syntax in syntaxes
        for slope in (1, 3)
        for photometric in ("MONOCHROME1", "MONOCHROME2")
    ]
    films = [written(ramp(step=1), **kind) for kind in kinds] * 10
    expected = [read_radiograph(film) for film in films]
    together = threading.Barrier(2)

    def contrast(_pixels: np.ndarray) -> None:
        together.wait(timeout=30)  # it breaks if the other thread cannot be here too

    with ThreadPoolExecutor(2) as pool, monkeypatch.context() as patch:
        patch.setattr("pleura.io.dicom.read.check_contrast", contrast)
        list(pool.map(read_radiograph, films[:2]))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read_radiograph, films))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert one.notes == other.notes


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_lossless_compression(syntax: str) -> None:
    made = dataset(ramp())
    made.compress(syntax)
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    assert np.array_equal(read_radiograph(file.getvalue()).pixels, ramp())


def test_jpeg_and_jpeg_2000_written_by_another_library() -> None:
    grey = (ramp() // 13).astype(np.uint8)
    jpeg, jpeg_2000 = BytesIO(), BytesIO()
    Image.fromarray(grey).save(jpeg, "JPEG", quality=95)
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    data = compressed(JPEGBaseline8Bit, jpeg.getvalue(), **eight)
    assert np.abs(read_radiograph(data).pixels - grey).max() <= 4
    deep = Image.fromarray(ramp().astype(np.uint16))
    deep.save(jpeg_2000, "JPEG2000", irreversible=False, no_jp2=True)
    data = compressed(JPEG2000Lossless, jpeg_2000.getvalue(), BitsStored=16, HighBit=15)
    assert np.array_equal(read_radiograph(data).pixels, ramp())


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_no_preamble_and_no_file_meta(syntax: str) -> None:
    complete = written(ramp(), syntax=syntax)
    group_2 = 12 + int.from_bytes(complete[140:144], "little")
    data = complete[132 + group_2 :]
    assert data[:2] in (b"\x08\0", b"\0\x08")
    assert np.array_equal(read_radiograph(data).pixels, ramp())


def test_monochrome1_is_inverted_once() -> None:
    # 0 .. 3071, bright is low: v -> 0 + 3071 - v
    film = read(ramp(), PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(film.pixels, 3071 - ramp())
    film = read(ramp(), PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert np.array_equal(film.pixels, 3071 - ramp())
    assert film.notes == ()


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]
)
def test_a_contradicting_lut_shape_is_noted(photometric: str, shape: str) -> None:
    film = read(ramp(), PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    expected = 3071 - ramp() if photometric == "MONOCHROME1" else ramp()
    assert np.array_equal(film.pixels, expected)
    assert "contradicts" in film.notes[0]


def test_signed_values() -> None:
    values = ramp(low=-1500).astype(np.int16)
    assert np.array_equal(read(values).pixels, values)


def test_unused_bits_are_removed() -> None:
    noisy = ramp() | 0xA000  # above the 12 bits that count
    assert np.array_equal(read(noisy).pixels, ramp())
    negative = ramp(low=-1500) & 0x0FFF  # signed in 12 bits, the upper 4 left 0
    film = read(negative, PixelRepresentation=1)
    assert np.array_equal(film.pixels, ramp(low=-1500))


def test_high_bit_above_the_rest() -> None:
    # 12 bits that end at bit 15: stored 16 times as large, with noise in the 4 bits below.
    film = read(ramp() * 16 + 9, HighBit=15)
    assert np.array_equal(film.pixels, ramp())
    signed = read(ramp(low=-1500).astype(np.int16) * 16 + 9, HighBit=15)
    assert np.array_equal(signed.pixels, ramp(low=-1500))
    # 10 bits between: bits 2 to 11
    between = (ramp() // 3) * 4 + 3 + 0x7000
    film = read(between, BitsStored=10, HighBit=11)
    assert np.array_equal(film.pixels, ramp() // 3)


def test_raw_values_are_noted() -> None:
    film = read(ramp(), PresentationIntentType="FOR PROCESSING")
    assert "FOR PROCESSING" in film.notes[0]


def colour(rgb: np.ndarray, **tags: Any) -> bytes:
    made = dataset(ramp(), SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", **tags)
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "RGB"
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.PixelData = rgb.astype(np.uint8).tobytes()
    made["PixelData"].VR = "OB"
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def test_a_grey_film_in_rgb_is_read_and_a_photograph_refused() -> None:
    grey = ramp() // 13
    film = read_radiograph(colour(np.repeat(grey[..., None], 3, axis=2)))
    assert np.array_equal(film.pixels, grey)
    photo = np.dstack([grey, 255 - grey, np.roll(grey, 20, axis=0)])
    with pytest.raises(UnsuitableFilm, match="colour photograph"):
        read_radiograph(colour(photo))
    forced = read_radiograph(colour(photo), photographs=True)
    assert forced.size == (ROWS, COLUMNS)
    assert "colour photograph" in forced.notes[0]


def test_a_blank_film_is_refused() -> None:
    with pytest.raises(UnsuitableFilm, match="no contrast"):
        read(np.zeros((ROWS, COLUMNS), int))


def test_an_error_for_damage_quotes_no_identity() -> None:
    data = written(ramp())
    for cut in (140, 300, len(data) // 2, len(data) - 10):
        with pytest.raises((UnreadableFilm, UnsuitableFilm)) as refusal:
            read_radiograph(data[:cut])
        assert NAME not in str(refusal.value)
        assert refusal.value.__cause__ is None  # pydicom's own words may quote a value
    with pytest.raises(UnreadableFilm, match=r"\(Explicit VR Little Endian\) could not be decoded"):
        read_radiograph(data[: len(data) // 2])
