"""Damage: bytes changed at random, or lengths and values changed where the format keeps them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

ODD = (
    0,
    1,
    2,
    7,
    8,
    9,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65500,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
"""Values at which programs fail."""

_PIECES = {  # bytes that begin a piece of a file, with a length or a value behind them
    "jpeg": [
        bytes((0xFF, marker)) for marker in (*range(0xC0, 0xD0), *range(0xDA, 0xE3), 0xF7, 0xFE)
    ],
    "jpeg-2000": [bytes((0xFF, marker)) for marker in range(0x4F, 0x66)]
    + [b"\xff\x90", b"\xff\x93"],
    "tiff": [struct.pack("<H", tag) for tag in (*range(254, 340), 347, 530)],
}
_DICOM_KEYS = (
    b"\x28\0\x02\0", b"\x28\0\x04\0", b"\x28\0\x08\0", b"\x28\0\x10\0", b"\x28\0\x11\0",
    b"\x28\0\0\1", b"\x28\0\1\1", b"\x28\0\2\1", b"\x28\0\3\1", b"\x28\0\x50\x10",
    b"\x28\0\x51\x10", b"\x28\0\x52\x10", b"\x28\0\x53\x10", b"\x28\0\x10\x30", b"\x28\0\x02\x30",
    b"\x28\0\x06\x30", b"\x28\0\x01\x11", b"\x28\0\x01\x12", b"\x02\0\x10\0", b"\x08\0\x60\0",
    b"\x18\0\x15\0", b"\x18\0\x64\x11", b"\xe0\x7f\x10\0", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0",
)  # fmt: skip


def damaged(name: str, film: bytes, random: Random) -> bytes:
    """One to four kinds of damage done to a film; `name` is its key in `seeds`."""
    data = bytearray(film)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        random.choice(_ways(name))(data, random)
    return bytes(data)


def _ways(name: str) -> list[Callable[[bytearray, Random], None]]:
    ways = [_bits, _value, _value, _cut, _cut_out, _repeat, _noise]
    structural = {
        "png": [_png_chunk] * 6,
        "dicom": [_dicom_element] * 6,
        "jpeg": [_piece("jpeg")] * 5,
        "tiff": [_piece("tiff")] * 5,
    }
    for start, more in structural.items():
        if name.startswith(start):
            ways = ways + more
    if "jpeg-2000" in name:
        ways = ways + [_piece("jpeg-2000")] * 5
    elif "jpeg" in name:
        ways = ways + [_piece("jpeg")] * 5
    return ways


def _bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 2, 8, 64))):
        if data:
            data[_place(data, random)] ^= 1 << random.randrange(8)


def _value(data: bytearray, random: Random) -> None:
    """An odd number of 1, 2 or 4 bytes, in either byte order."""
    size = random.choice((1, 2, 4))
    number = random.choice(ODD) % 256**size
    at = _place(data, random)
    data[at : at + size] = number.to_bytes(size, random.choice(("little", "big")))


def _cut(data: bytearray, random: Random) -> None:
    del data[_place(data, random) :]


def _cut_out(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    del data[at : at + random.choice((1, 2, 4, 100, 5_000))]


def _repeat(data: bytearray, random: Random) -> None:
    at = _place(data, random)
    part = data[at : at + random.choice((1, 4, 100, 2_000))]
    data[at:at] = part * random.choice((1, 1, 2, 50))


def _noise(data: bytearray, random: Random) -> None:
    at, size = _place(data, random), random.choice((1, 16, 500))
    data[at : at + size] = random.randbytes(size)


def _png_chunk(data: bytearray, random: Random) -> None:
    """Change a chunk's body and put its checksum right, so that the change is looked at."""
    chunks, at = [], 8
    while at + 12 <= len(data) and len(chunks) < 50:
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((at, length))
        at += 12 + length
    if not chunks:
        return
    at, length = random.choice(chunks)
    body = bytearray(data[at + 8 : at + 8 + length])
    (_value if random.random() < 0.7 else _bits)(body, random)
    kind = bytes(data[at + 4 : at + 8])
    data[at : at + 12 + length] = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    )


def _dicom_element(data: bytearray, random: Random) -> None:
    """Change the type, the length or the value of an attribute that says how pixels are read."""
    at = data.find(random.choice(_DICOM_KEYS), 128)
    if at < 0:
        return
    change = random.randrange(4)
    if change == 0:
        data[at + 4 : at + 6] = random.choice(
            (b"US", b"SS", b"OB", b"OW", b"UN", b"SQ", b"DS", b"UL")
        )
    elif change == 1:
        data[at + 6 : at + 8] = struct.pack("<H", random.choice(ODD) % 65536)
    elif change == 2:
        data[at + 8 : at + 10] = struct.pack("<H", random.choice(ODD) % 65536)
    else:
        del data[at : at + 8 + struct.unpack_from("<H", data.ljust(at + 8, b"\0"), at + 6)[0]]


def _piece(kind: str) -> Callable[[bytearray, Random], None]:
    """Change a number just behind one of the format's markers."""

    def change(data: bytearray, random: Random) -> None:
        start = data.find(b"\xff\xd8" if kind == "jpeg" else b"\xff\x4f\xff\x51")
        places = [at for marker in _PIECES[kind] if (at := data.find(marker, max(0, start))) >= 0]
        if not places:
            return
        at = random.choice(places) + 2 + random.randrange(12)
        size = random.choice((1, 2, 4))
        order = "little" if kind == "tiff" else "big"
        data[at : at + size] = (random.choice(ODD) % 256**size).to_bytes(size, order)

    return change


def _place(data: bytearray, random: Random) -> int:
    """Somewhere in the file; half of the time in its first kilobyte, where headers are."""
    most = len(data) if random.random() < 0.5 else min(len(data), 1_200)
    return random.randrange(most) if most else 0
