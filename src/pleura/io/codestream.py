"""What a compressed picture says of itself: size, components and depth, before it is decoded.

JPEG (ISO 10918-1, B.2.2), JPEG-LS (ISO 14495-1, C.2.2) and JPEG 2000 (ISO 15444-1, A.5.1) begin
with a header that a decoder trusts. Where it contradicts the DICOM attributes beside it, a decoder
may write outside its memory, so the two are compared first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from pleura.core.errors import UnreadableFilm
from pleura.io.dicom_tags import number

__all__ = ["Codestream", "check_codestream", "read_codestream"]

_JPEG, _JPEG_2000, _JP2 = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
_FRAME_MARKERS = frozenset(
    (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7)
)
"""Second bytes of the markers that begin a frame header: SOF0 to SOF15, and JPEG-LS's SOF55."""

_MOST_SEGMENTS = 500  # looked through before the frame header; a file has ten


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of a compressed picture."""

    height: int
    width: int
    components: int
    bits: int
    """Of a sample, the deepest component's."""


def read_codestream(content: bytes) -> Codestream | None:
    """The header of a JPEG, JPEG-LS or JPEG 2000 stream; None for other or cut ones."""
    try:
        if content.startswith(_JP2):  # a JP2 file, against the standard: the stream lies inside
            content = content[max(0, content.find(_JPEG_2000)) :]
        if content.startswith(_JPEG_2000):
            return _jpeg_2000(content)
        return _jpeg(content) if content.startswith(_JPEG) else None
    except (struct.error, IndexError):
        return None


def check_codestream(dataset: Dataset) -> None:
    """Raise `UnreadableFilm` where the compressed pixels contradict the header of the film."""
    stream = read_codestream(get_frame(dataset.PixelData, 0, number_of_frames=1))
    if stream is None:
        return
    said = int(dataset.Rows), int(dataset.Columns), int(number(dataset, "SamplesPerPixel") or 1)
    held = stream.height, stream.width, stream.components
    if said != held:
        raise UnreadableFilm(
            f"the header says {_described(*said)}, the compressed pixels are {_described(*held)}; "
            "the file is damaged: export it again"
        )
    allocated = int(number(dataset, "BitsAllocated") or 8)
    if stream.bits > allocated:
        raise UnreadableFilm(
            f"the header says {allocated} bits a pixel, the compressed pixels have {stream.bits}; "
            "the file is damaged: export it again"
        )


def _jpeg(content: bytes) -> Codestream | None:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker = content[at + 1]
        if content[at] != 0xFF or marker == 0xDA:  # no marker, or the pixels begin
            return None
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_MARKERS:
            bits, height, width, components = struct.unpack_from(">BHHB", content, at + 4)
            return Codestream(height, width, components, bits)
        at += 2 + struct.unpack_from(">H", content, at + 2)[0]
    return None


def _jpeg_2000(content: bytes) -> Codestream:
    right, bottom, left, top = struct.unpack_from(">IIII", content, 8)
    (components,) = struct.unpack_from(">H", content, 40)
    depths = content[42 : 42 + 3 * components : 3]
    bits = max(((depth & 0x7F) + 1 for depth in depths), default=0)
    return Codestream(bottom - top, right - left, components, bits)


def _described(height: int, width: int, components: int) -> str:
    return f"{width} x {height} pixels of {components} component{'s' if components != 1 else ''}"
