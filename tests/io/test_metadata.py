"""Damaged texts, colour profiles and EXIF data do not fail a picture."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.core.errors import UnreadableFilm
from pleura.io.images.exif import TURNED
from pleura.io.read import read_radiograph

LONG = zlib.compress(b"x" * 2_000_000)
"""More than Pillow lets a text have."""


def encoded(film: np.ndarray, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    Image.fromarray(film).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes, *, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(name + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


CHUNKS = {
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
    "text": chunk(b"zTXt", b"Raw\0\0" + LONG),
    "profile": chunk(b"iCCP", b"scanner\0\0" + LONG),
    "no TIFF header": chunk(b"eXIf", b"no TIFF header"),
    "EXIF cut short": chunk(b"eXIf", exif(1)[6:12]),
    "no keyword": chunk(b"tEXt", b""),
    "wrong checksum": chunk(b"tEXt", b"Title\0film", checksum=1),
    "no compression known": chunk(b"zTXt", b"Raw\0\7abc"),
    "resolution cut short": chunk(b"pHYs", b"\0\0"),
    "unknown": chunk(b"prVt", b"?" * 1000),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_damaged_metadata_chunks_do_not_fail_a_png(film: np.ndarray, name: str) -> None:
    data = encoded(film, "PNG")
    for where in (33, len(data) - 12):  # before the pixels, and behind them
        read = read_radiograph(data[:where] + CHUNKS[name] + data[where:])
        assert np.array_equal(read.pixels, film)
        assert read.notes == ()


def test_a_png_with_odd_texts_still_turns_and_keeps_its_palette(film: np.ndarray) -> None:
    data = encoded(film, "PNG", exif=exif(3))
    read = read_radiograph(data[:33] + CHUNKS["text"] + data[33:])
    assert np.array_equal(read.pixels, film[::-1, ::-1])
    assert read.notes == (TURNED,)
    file = BytesIO()
    Image.fromarray(film).convert("RGB").quantize(64).save(file, "PNG", transparency=0)
    plain = file.getvalue()
    odd = plain[:33] + CHUNKS["text"] + plain[33:]
    assert np.array_equal(read_radiograph(odd).pixels, read_radiograph(plain).pixels)
    assert read_radiograph(odd).notes == read_radiograph(plain).notes


def test_damaged_pixels_are_refused_with_any_metadata(film: np.ndarray) -> None:
    data = encoded(film, "PNG")
    for name in ("text", "no TIFF header"):
        broken = data[:33] + CHUNKS[name] + data[33:60] + b"\xff\xff\xff\xff" + data[64:]
        with pytest.raises(UnreadableFilm, match="PNG file is damaged"):
            read_radiograph(broken)


BROKEN_EXIF = [b"", b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0" + b"MM\0*" + b"\xff" * 40]


@pytest.mark.parametrize("data", BROKEN_EXIF)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_broken_exif_turns_nothing(film: np.ndarray, kind: str, data: bytes) -> None:
    options = {"quality": 100} | ({"lossless": True} if kind == "WEBP" else {})
    read = read_radiograph(encoded(film, kind, exif=data, **options))
    assert np.abs(read.pixels - film).max() <= (3 if kind == "JPEG" else 0)
    assert read.notes == ()


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_an_invalid_orientation_turns_nothing(
    film: np.ndarray, kind: str, orientation: int
) -> None:
    options = {"quality": 100} | ({"lossless": True} if kind == "WEBP" else {})
    options = {} if kind in ("PNG", "TIFF") else options
    read = read_radiograph(encoded(film, kind, exif=exif(orientation), **options))
    assert np.abs(read.pixels - film).max() <= (3 if kind == "JPEG" else 0)
    assert read.notes == ()


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe2\0\x10ICC_PROFILE\0\x09",  # the ninth part of a profile, cut
        b"\xff\xed\0\x14Photoshop 3.0\0\x388B",
        b"\xff\xe0\0\x07JFIF\0",
        b"\xff\xee\0\x07Adobe",
        b"\xff\xe2\0\x0aMPF\0MM\0*",  # of a file of several pictures
        b"\xff\xfe\0\x02",
    ],
)
def test_damaged_metadata_segments_do_not_fail_a_jpeg(film: np.ndarray, segment: bytes) -> None:
    data = encoded(film, "JPEG", quality=100)
    read = read_radiograph(data[:2] + segment + data[2:])
    assert np.abs(read.pixels - film).max() <= 3


def test_a_turned_jpeg_with_an_odd_segment_is_turned(film: np.ndarray) -> None:
    data = encoded(film, "JPEG", quality=100, exif=exif(3))
    read = read_radiograph(data[:2] + b"\xff\xee\0\x07Adobe" + data[2:])
    assert np.abs(read.pixels - film[::-1, ::-1]).max() <= 3
    assert read.notes == (TURNED,)


def test_notes_on_a_png_with_odd_texts_appear_once(film: np.ndarray) -> None:
    deep = np.repeat(film.astype(">u2")[..., None] * 257, 3, axis=2)
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    head = struct.pack(">IIBBBBB", 48, 64, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), CHUNKS["text"]
    read = read_radiograph(b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b""))
    assert np.array_equal(read.pixels, film)
    assert read.notes == ("16-bit colour was read with 8 bits",)
