"""Reading size, bits and components from the header of a compressed picture."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Codestream", "begins_codestream", "read_codestream"]

_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")  # JPEG and JPEG-LS, J2K, JP2
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, SOF55
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


@dataclass(frozen=True, slots=True)
class Codestream:
    """The header of a compressed picture."""

    rows: int
    columns: int
    bits: int
    """Bits of a sample."""

    components: int


def begins_codestream(data: bytes) -> bool:
    """Whether `data` begins with a JPEG, JPEG-LS, JPEG 2000 or RLE picture."""
    if data.startswith(_STARTS):
        return True
    segments, first = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4))
    return len(data) >= 64 and 1 <= segments <= 15 and first == 64  # RLE, PS3.5 G.5


def read_codestream(data: bytes) -> Codestream | None:
    """The header of a JPEG, JPEG-LS or JPEG 2000 picture; None for others and for damaged ones."""
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    at = data.find(b"\xff\x4f\xff\x51", 0, 4096)
    return _jpeg_2000(data[at + 4 : at + 64]) if at >= 0 else None


def _jpeg(data: bytes) -> Codestream | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAMES:
            frame = data[at + 4 : at + 10]
            if len(frame) < 6:
                return None
            rows, columns = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
            return Codestream(rows, columns, frame[0], frame[5])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _jpeg_2000(size: bytes) -> Codestream | None:
    """From the bytes after SIZ: Lsiz, Rsiz, Xsiz, Ysiz, XOsiz, YOsiz, four of tiles, Csiz."""
    if len(size) < 39:
        return None
    right, bottom, left, top = (int.from_bytes(size[n : n + 4], "big") for n in (4, 8, 12, 16))
    return Codestream(
        rows=bottom - top,
        columns=right - left,
        bits=(size[38] & 0x7F) + 1,
        components=int.from_bytes(size[36:38], "big"),
    )
