"""Writing masks and label maps as PNG files fast.

Each row is written as the difference from the row above (the filter `up`, which makes nearly all
of a mask 0), and zlib searches for runs only. Pillow is not used because on a mask of 3000 x 2500
pixels it takes 2.2 times as long, and with zlib's Z_RLE 1.6 times for a file that is 9 % smaller.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["flat_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3  # colour types
_UP = 2  # filter type
_BLOCK = 256  # rows filtered and compressed at a time, to save memory


def flat_png(levels: NDArray[np.uint8], *, palette: tuple[int, ...] = ()) -> bytes:
    """(H, W) uint8 -> the bytes of an 8-bit grey PNG, or of a palette PNG if `palette` is given.

    `palette` holds red, green, blue of the values 0, 1, 2, ... in a row. Every picture is written
    correctly; one without flat areas gives a large file.
    """
    height, width = levels.shape
    colour = _PALETTE if palette else _GREY
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [_SIGNATURE, _chunk(b"IHDR", head)]
    if palette:
        parts.append(_chunk(b"PLTE", bytes(palette)))
    parts += [_chunk(b"IDAT", _compressed_rows(levels)), _chunk(b"IEND", b"")]
    return b"".join(parts)


def _compressed_rows(levels: NDArray[np.uint8]) -> bytes:
    """Compressed rows: a filter number, then the differences from the row above, modulo 256."""
    height, width = levels.shape
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    rows = np.full((min(_BLOCK, height), width + 1), _UP, dtype=np.uint8)
    above = np.zeros((1, width), dtype=np.uint8)
    parts = []
    for top in range(0, height, _BLOCK):
        own = levels[top : top + _BLOCK]
        filtered = rows[: len(own)]
        np.subtract(own[:1], above, out=filtered[:1, 1:])
        np.subtract(own[1:], own[:-1], out=filtered[1:, 1:])
        parts.append(packer.compress(filtered.data))
        above = own[-1:]
    return b"".join([*parts, packer.flush()])


def _chunk(kind: bytes, data: bytes) -> bytes:
    checked = kind + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
