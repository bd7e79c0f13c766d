"""Copying a PNG or JPEG file without texts, colour profiles and damaged EXIF data."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import IO

from PIL import Image

from pleura.io.images.exif import ORIENTATION

__all__ = ["strip_metadata"]

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ADOBE = b"Adobe"
_ADOBE_SIZE = 12  # bytes; the last is the code of the colour transform
_EXIF = b"Exif\0\0"
_SCAN = 0xDA
_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE})  # APP0 to APP15, and comments


def strip_metadata(stream: IO[bytes]) -> IO[bytes] | None:
    """Copy a PNG or JPEG file with its pixels and orientation only; None for other formats.

    A file that is cut short is copied up to its end.
    """
    stream.seek(0)
    content = stream.read()
    for start, parts in ((_PNG, _png_parts), (_JPEG, _jpeg_parts)):
        if content.startswith(start):
            return BytesIO(start + b"".join(parts(content, len(start))))
    return None


def _png_parts(content: bytes, at: int) -> Iterator[bytes]:
    while at + 8 <= len(content):
        name, end = content[at + 4 : at + 8], at + 12 + int.from_bytes(content[at : at + 4], "big")
        if name in _PIXELS or (name == b"eXIf" and _has_orientation(content[at + 8 : end - 4])):
            yield content[at:end]
        at = end


def _jpeg_parts(content: bytes, at: int) -> Iterator[bytes]:
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        data = content[at + 4 : end]
        adobe = data.startswith(_ADOBE) and len(data) >= _ADOBE_SIZE
        if (
            content[at + 1] not in _METADATA
            or adobe
            or (data.startswith(_EXIF) and _has_orientation(data))
        ):
            yield content[at:end]
        at = end
    yield content[at:]


def _has_orientation(data: bytes) -> bool:
    """Whether EXIF data can be read and state an orientation that is not upright."""
    exif = Image.Exif()
    try:
        exif.load(data)
        return bool(exif.get(ORIENTATION, 1) != 1)
    except Exception:  # damaged EXIF data can raise errors of any class in Pillow
        return False
