"""Reading TIFF samples that Pillow does not read correctly: other widths, signs, byte orders.

Pillow decompresses the strips or tiles of such a page as an 8-bit picture with one pixel for each
byte of a row; the samples are made from these bytes here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from pleura.core.errors import UnreadableFilm
from pleura.io.images.tiff.pages import (
    BITS,
    COMPRESSION,
    COUNTS,
    EXTRA_SAMPLES,
    FILL_ORDER,
    LENGTH,
    OFFSETS,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    ROWS_PER_STRIP,
    SAMPLE_FORMAT,
    SAMPLES,
    TILE_COUNTS,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    Page,
)

__all__ = ["is_plain", "read_samples", "unsupported_variant"]

UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4
"""Values of SampleFormat."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
"""Values of PhotometricInterpretation that are read here."""

BYTEWISE = (1, 5, 8, 32773, 32946, 34925, 50000)
"""Compressions that work on bytes: none, LZW, deflate, PackBits, LZMA, Zstandard."""

_NAMES = {UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "floating-point", UNDEFINED: "unsigned"}
_PLAIN = {(16, UNSIGNED), (16, UNDEFINED)}  # bits and kind of a sample that Pillow reads correctly
_PLAIN_LITTLE = {(16, SIGNED), (32, SIGNED), (32, FLOAT)}  # the same, in little endian only
_MAX_SAMPLES = 5  # of a pixel: colours and alpha
_MAX_TILE = 4096  # pixels by which a tile may be larger than its page
_ROWS = 256  # rows that are unpacked at a time


def is_plain(page: Page) -> bool:
    """Whether Pillow reads the page correctly."""
    bits, kind = page.value(BITS, 1), page.value(SAMPLE_FORMAT, UNSIGNED)
    if page.value(COMPRESSION, 1) not in BYTEWISE:  # JPEG of 8 bits, fax of 1
        return bits in (1, 8) and not (page.big and page.order == ">")
    if page.big and page.order == ">":
        return False
    samples, planar = page.value(SAMPLES, 1), page.value(PLANAR, 1) == 2
    if bits <= 8 and kind in (UNSIGNED, UNDEFINED):
        return samples != 2 or not planar
    if samples > 1:
        return False
    little = page.order == "<" and page.value(PHOTOMETRIC, BLACK_IS_ZERO) == BLACK_IS_ZERO
    return (bits, kind) in _PLAIN or (little and (bits, kind) in _PLAIN_LITTLE)


def read_samples(content: bytes, page: Page) -> NDArray[Any]:
    """(H, W, S) samples of a page of the file `content`, in the page's own type of number."""
    _check(page, len(content))
    planes = page.value(SAMPLES, 1) if page.value(PLANAR, 1) == 2 else 1
    layers = [_plane(content, page, plane, of=planes) for plane in range(planes)]
    return layers[0] if planes == 1 else np.concatenate(layers, axis=2)


def unsupported_variant(page: Page) -> UnreadableFilm:
    """The error for a page that is not damaged, but of a variant that is not read."""
    bits, kind = page.value(BITS, 1), page.value(SAMPLE_FORMAT, UNSIGNED)
    samples = page.value(SAMPLES, 1)
    return UnreadableFilm(
        f"this TIFF file is of a variant that is not read: {samples} {_NAMES.get(kind, 'complex')} "
        f"sample{'s' * (samples > 1)} of {bits} bits, compression {page.value(COMPRESSION, 1)}, "
        f"photometric {page.value(PHOTOMETRIC, 1)}; export it as 8- or 16-bit grey PNG or TIFF"
    )


def _check(page: Page, size: int) -> None:
    bits, kind = page.value(BITS, 1), page.value(SAMPLE_FORMAT, UNSIGNED)
    widths = {FLOAT: (16, 32, 64), SIGNED: (8, 16, 32, 64)}.get(kind, (*range(1, 17), 32, 64))
    alike = all(len(set(page.tags.get(tag, ()))) <= 1 for tag in (BITS, SAMPLE_FORMAT))
    packed = bits % 8 != 0
    odd = packed and (page.value(PREDICTOR, 1) != 1 or page.value(SAMPLES, 1) > 1)
    readable = (
        page.value(COMPRESSION, 1) in BYTEWISE
        and page.value(PHOTOMETRIC, BLACK_IS_ZERO) in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB)
        and page.value(PREDICTOR, 1) in ((1, 2, 3) if kind == FLOAT else (1, 2))
        and 1 <= page.value(SAMPLES, 1) <= _MAX_SAMPLES
    )
    fits = kind in _NAMES and bits in widths and page.value(FILL_ORDER, 1) == 1 and size < 2**32
    if not (readable and fits and alike) or odd:
        raise unsupported_variant(page)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How a plane is cut into strips or tiles."""

    tiled: bool
    across: int
    """Width of a block, pixels."""

    down: int
    """Height of a block, pixels."""

    row: int
    """Bytes in a row of a block."""

    blocks: tuple[int, int]
    """Rows and columns of blocks."""


def _grid(page: Page, samples: int) -> _Grid:
    height, width = page.size
    tiled = TILE_OFFSETS in page.tags
    across = page.value(TILE_WIDTH, width) if tiled else width
    down = (
        page.value(TILE_LENGTH, height)
        if tiled
        else min(page.value(ROWS_PER_STRIP, height), height)
    )
    if not (0 < across <= width + _MAX_TILE and 0 < down <= height + _MAX_TILE):
        raise _damaged()
    row = ceil(across * samples * page.value(BITS, 1) / 8)
    return _Grid(tiled, across, down, row, (ceil(height / down), ceil(width / across)))


def _plane(content: bytes, page: Page, plane: int, *, of: int) -> NDArray[Any]:
    """(H, W, S) of one plane; of all samples if there is one plane only (`of` is 1)."""
    height, width = page.size
    samples = page.value(SAMPLES, 1) if of == 1 else 1
    grid = _grid(page, samples)
    rows, columns = grid.blocks
    image = _bytes(content, page, grid, slice(plane * rows * columns, (plane + 1) * rows * columns))
    raw = np.asarray(image).reshape(-1, columns, grid.row)
    numbers = _numbers(raw, page, samples).reshape(len(raw), columns * grid.across, samples)
    return numbers[:height, :width]


def _bytes(content: bytes, page: Page, grid: _Grid, part: slice) -> TiffImagePlugin.TiffImageFile:
    """The blocks `part` of a page as an 8-bit picture, one pixel for each byte."""
    height, _ = page.size
    places, counts = (TILE_OFFSETS, TILE_COUNTS) if grid.tiled else (OFFSETS, COUNTS)
    rows, columns = grid.blocks
    offsets = page.tags.get(places, ())[part]
    sizes = page.tags.get(counts, (grid.row * height,))[part]
    if not len(offsets) == len(sizes) == rows * columns or max(offsets) >= len(content):
        raise _damaged()
    sizes = tuple(min(size, len(content) - at) for at, size in zip(offsets, sizes, strict=True))
    tags: dict[int, Any] = {places: offsets, counts: sizes, BITS: 8, PHOTOMETRIC: 1, SAMPLES: 1}
    tags |= {COMPRESSION: page.value(COMPRESSION, 1), WIDTH: columns * grid.row}
    if grid.tiled:
        tags |= {LENGTH: rows * grid.down, TILE_WIDTH: grid.row, TILE_LENGTH: grid.down}
    else:
        tags |= {LENGTH: height, ROWS_PER_STRIP: grid.down}
    return TiffImagePlugin.TiffImageFile(BytesIO(_with_page(content, tags)))


def _damaged() -> UnreadableFilm:
    return UnreadableFilm("this TIFF file is damaged or cut short; copy or export it again")


def _with_page(content: bytes, tags: dict[int, Any]) -> bytes:
    """The file with a new page at its end, which becomes its only page."""
    head, table, more = b"II*\0", b"", b""
    at = len(content) + len(content) % 2
    after = at + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
        values = tags[tag] if isinstance(tags[tag], tuple) else (tags[tag],)
        data = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            more, data = more + data, struct.pack("<I", after + len(more))
        table += struct.pack("<HHI", tag, 4, len(values)) + data
    page = struct.pack("<H", len(tags)) + table + bytes(4) + more
    return head + struct.pack("<I", at) + content[8:] + bytes(len(content) % 2) + page


def _numbers(raw: NDArray[np.uint8], page: Page, samples: int) -> NDArray[Any]:
    """(H, blocks, bytes of a row) -> (H, blocks, samples of a row)."""
    bits, kind = page.value(BITS, 1), page.value(SAMPLE_FORMAT, UNSIGNED)
    if bits % 8:
        return _unpacked(raw, bits, page)
    size, order = bits // 8, page.order
    if page.value(PREDICTOR, 1) == 3:
        return _floats(raw, size, samples)
    integers = raw.view(f"{order}u{size}")
    if page.value(PREDICTOR, 1) == 2:
        differences = integers.reshape(*integers.shape[:2], -1, samples)
        integers = differences.cumsum(axis=2, dtype=f"u{size}").reshape(integers.shape)
        order = "="
    letter = {SIGNED: "i", FLOAT: "f"}.get(kind, "u")
    return integers.view(f"{order}{letter}{size}")


def _floats(raw: NDArray[np.uint8], size: int, samples: int) -> NDArray[Any]:
    """Undo the floating-point predictor (Adobe's Technical Note 3): split bytes, as differences."""
    shape = raw.shape
    summed = raw.reshape(*shape[:2], -1, samples).cumsum(axis=2, dtype=np.uint8).reshape(shape)
    together = np.moveaxis(summed.reshape(*shape[:2], size, -1), 2, 3)
    return np.ascontiguousarray(together).view(f">f{size}")[..., 0]


def _unpacked(raw: NDArray[np.uint8], bits: int, page: Page) -> NDArray[np.uint16]:
    """Unpack samples of 1 to 15 bits that are stored without gaps, the high bit first."""
    count = raw.shape[2] * 8 // bits
    if TILE_OFFSETS not in page.tags:
        count = page.size[1]
    weights = (1 << np.arange(bits)[::-1]).astype(np.uint16)
    out = np.empty((*raw.shape[:2], count), np.uint16)
    for top in range(0, len(raw), _ROWS):
        bands = np.unpackbits(raw[top : top + _ROWS], axis=2)[..., : count * bits]
        out[top : top + _ROWS] = bands.reshape(*bands.shape[:2], count, bits) @ weights
    return out


def has_alpha(page: Page) -> bool:
    """Whether the last sample is alpha."""
    return page.value(EXTRA_SAMPLES, 0) in (1, 2)
