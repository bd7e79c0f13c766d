"""Compressed pixels, colour and bits that depart from the DICOM standard."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, generate_fragments
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)
from tests.io.dicom.variants.films import as_bytes, made, ramp

from pleura.core.errors import UnreadableFilm
from pleura.io.dicom.received import check_received_file
from pleura.io.read import read_radiograph

DEPARTS = "the file departs from the DICOM standard, but it could be read"

PACKED = "the compressed pixels are not packed as DICOM requires, but they could be read"


def packed(syntax: str, data: bytes, **tags: Any) -> bytes:
    """A film whose PixelData are `data`, as they are."""
    film = made(ramp(), syntax=syntax, **tags)
    film.PixelData = data
    film["PixelData"].VR, film["PixelData"].is_undefined_length = "OB", True
    return as_bytes(film)


def j2k(values: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(
        file, "JPEG2000", irreversible=False, no_jp2=True
    )
    return file.getvalue()


DEEP = {"BitsStored": 16, "HighBit": 15}

ITEM, END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def items(*values: bytes) -> bytes:
    return b"".join(ITEM + len(value).to_bytes(4, "little") + value for value in values)


def test_an_encapsulated_film_may_lack_its_delimiter() -> None:
    data = packed(JPEG2000Lossless, encapsulate([j2k(ramp())]), **DEEP)
    assert data.endswith(END)
    for variant in (data[:-8], data[:-8] + bytes(8), data[:-8] + bytes(512), data[:-4]):
        film = read_radiograph(variant)
        assert np.array_equal(film.pixels, ramp())
        assert film.notes == ((DEPARTS,) if variant != data[:-4] else ())
        assert check_received_file(variant).uid == "1.2.3.4"
    for cut in (data[:-40], data[:-9]):
        with pytest.raises(UnreadableFilm, match="cut short"):
            read_radiograph(cut)


@pytest.mark.parametrize("parts", [1, 2, 5])
@pytest.mark.parametrize(
    ("table", "noted"),
    [
        (b"", False),
        (bytes(4), False),
        (None, True),
        (b"\x10\0\0\0", True),
        (b"\xff\xff\xff\x7f", True),
        (bytes(4) + b"\x08\0\0\0", True),
    ],
)
def test_fragments_are_joined_whatever_their_table_of_offsets(
    parts: int, table: bytes | None, noted: bool
) -> None:
    stream = j2k(ramp())
    stream += bytes(len(stream) % 2)
    size = len(stream) // parts // 2 * 2
    pieces = [stream[n * size : (n + 1) * size if n + 1 < parts else None] for n in range(parts)]
    content = items(*([] if table is None else [table]), *pieces)
    film = read_radiograph(packed(JPEG2000Lossless, content, **DEEP))
    assert np.array_equal(film.pixels, ramp())
    assert (PACKED in film.notes) == noted


def test_an_rle_film_without_a_table_of_offsets() -> None:
    film = made(ramp())
    film.compress(RLELossless)
    film.PixelData = items(list(generate_fragments(film.PixelData))[-1])
    read_back = read_radiograph(as_bytes(film))
    assert np.array_equal(read_back.pixels, ramp())
    assert PACKED in read_back.notes


def test_a_bare_codestream_is_read() -> None:
    stream = j2k(ramp())
    stream += bytes(len(stream) % 2)
    data = packed(JPEG2000Lossless, encapsulate([stream]), **DEEP)
    length = data.rindex(b"\xe0\x7f\x10\x00OB\0\0") + 8
    film = read_radiograph(data[:length] + len(stream).to_bytes(4, "little") + stream)
    assert np.array_equal(film.pixels, ramp())
    assert PACKED in film.notes


EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}


def jpeg(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.mark.parametrize("called", ["MONOCHROME1", "MONOCHROME2"])
def test_a_colour_jpeg_with_a_grey_header_is_read(called: str) -> None:
    grey = (ramp() // 13).astype(np.uint8)
    stream = encapsulate([jpeg(Image.fromarray(grey).convert("RGB"))])
    data = packed(JPEGBaseline8Bit, stream, **EIGHT, PhotometricInterpretation=called)
    film = read_radiograph(data)
    expected = 236 - grey.astype(int) if called == "MONOCHROME1" else grey
    assert np.abs(film.pixels - expected).max() <= 4
    assert "the header says that the pixels are grey" in film.notes[0]


def test_a_grey_jpeg_with_a_colour_header_is_read() -> None:
    grey = (ramp() // 13).astype(np.uint8)
    tags = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    stream = encapsulate([jpeg(Image.fromarray(grey))])
    film = read_radiograph(packed(JPEGBaseline8Bit, stream, **EIGHT, **tags))
    assert np.abs(film.pixels - grey).max() <= 4
    assert "the header says that the pixels are in colour" in film.notes[0]


def test_all_bits_are_read_if_the_header_states_fewer() -> None:
    data = packed(JPEG2000Lossless, encapsulate([j2k(ramp())]), **EIGHT)
    film = read_radiograph(data)
    assert np.array_equal(film.pixels, ramp())
    assert "the pixels have 16 bits, but the header says fewer; all were read" in film.notes


def test_uncompressed_colour_with_a_grey_header_is_read() -> None:
    grey = (ramp() // 13).astype(np.uint8)
    film = made(ramp(), **EIGHT)
    film.PixelData = np.repeat(grey[..., None], 3, axis=2).tobytes()
    assert np.array_equal(read_radiograph(as_bytes(film)).pixels, grey)
