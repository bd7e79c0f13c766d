"""Copying a PNG or JPEG file without texts, colour profiles and damaged EXIF data."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import IO

from PIL import Image

from pleura.io.images.exif import ORIENTATION

__all__ = ["bare"]

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_ADOBE = b"Adobe"
_ADOBE_SIZE = 12  # bytes, of which the last says how the colours are coded
_EXIF = b"Exif\0\0"
_SCAN = 0xDA
_BESIDE = frozenset({*range(0xE0, 0xF0), 0xFE})  # APP0 to APP15, and comments


def bare(stream: IO[bytes]) -> IO[bytes] | None:
    """The same picture with its pixels and orientation only; None for other formats.

    A file that ends early is copied as far as it goes.
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
        if name in _PIXELS or (name == b"eXIf" and _turns(content[at + 8 : end - 4])):
            yield content[at:end]
        at = end


def _jpeg_parts(content: bytes, at: int) -> Iterator[bytes]:
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != _SCAN:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        data = content[at + 4 : end]
        adobe = data.startswith(_ADOBE) and len(data) >= _ADOBE_SIZE
        if content[at + 1] not in _BESIDE or adobe or (data.startswith(_EXIF) and _turns(data)):
            yield content[at:end]
        at = end
    yield content[at:]


def _turns(data: bytes) -> bool:
    """Whether EXIF data can be read, and say that the picture is to be turned."""
    exif = Image.Exif()
    try:
        exif.load(data)
        return bool(exif.get(ORIENTATION, 1) != 1)
    except Exception:  # EXIF may be anything, and Pillow's errors for it are of many classes
        return False
