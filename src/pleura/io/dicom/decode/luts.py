"""Reading lookup tables of DICOM (modality and VOI LUT), also some that break the standard.

Devices write items without a table, descriptors of another length than the data, and the first
input value with the wrong sign. A table is read if it is clear which value each entry belongs to;
else it is None, and not applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pleura.core.arrays import Pixels
from pleura.io.dicom.parse import items_of

__all__ = ["MAX_ENTRIES", "Lut", "is_complete", "look_up", "lut_table", "luts"]

MAX_ENTRIES = 2**16
"""The most entries of a table; a descriptor has 0 for it (PS3.3 C.11.1.1.1)."""

MAX_BEYOND = 0.01
"""The largest share of the pixels that may need an entry that the table lacks."""

_WRAP = 2**16  # difference of a 16-bit number read as unsigned and as signed
_SAMPLE = 8  # every 8th row and column is examined


@dataclass(frozen=True, slots=True, eq=False)
class Lut:
    """A table that maps stored values to others."""

    table: Pixels
    """(N,) float32, N at most `MAX_ENTRIES`."""

    first: int
    """The input value of the first entry, as the file states it."""

    missing: int = 0
    """Number of entries that the file declares but does not have."""


def luts(dataset: Dataset, keyword: str) -> list[Lut | None]:
    """The tables of the sequence `keyword`, in order; None for an item that holds none."""
    big = not dataset.file_meta.TransferSyntaxUID.is_little_endian
    return [_read(item, big_endian=big) for item in items_of(dataset, keyword)]


def look_up(values: Pixels, lut: Lut) -> Callable[[Pixels], Pixels]:
    """The function that maps (H, W) `values` through `lut`; values outside get its end entries."""
    last, first = len(lut.table) - 1, _first(values, lut)

    def mapped(part: Pixels) -> Pixels:
        index = np.clip(np.rint(part) - first, 0, last).astype(np.intp)
        looked_up: Pixels = lut.table[index]
        return looked_up

    return mapped


def is_complete(values: Pixels, lut: Lut) -> bool:
    """Whether almost none of the (H, W) values need entries that `lut` lacks."""
    end = _first(values, lut) + len(lut.table)
    sample = values[::_SAMPLE, ::_SAMPLE]
    return not lut.missing or float(np.mean(sample >= end)) <= MAX_BEYOND


def lut_table(item: Dataset, entries: int, *, big_endian: bool, depth: int = 16) -> Pixels:
    """LUTData as float32; its VR may be US (numbers) or OW (bytes, one or two an entry).

    It has at most `entries` values, fewer if the data is shorter, none without data.
    """
    data: Any = item.get("LUTData")
    if data is None:
        return np.zeros(0, np.float32)
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data, dtype=np.float32))[:entries]
    if _is_packed(data, entries, depth=depth, big_endian=big_endian):
        return np.frombuffer(data, np.uint8)[:entries].astype(np.float32)
    words = data[: len(data) // 2 * 2]
    return np.frombuffer(words, ">u2" if big_endian else "<u2")[:entries].astype(np.float32)


def _is_packed(data: bytes, entries: int, *, depth: int, big_endian: bool) -> bool:
    """Whether each byte is an entry; otherwise each pair of bytes is."""
    if len(data) in (entries, entries + entries % 2):
        return True
    if depth > 8 or len(data) >= 2 * entries:
        return False
    return any(data[0 if big_endian else 1 :: 2])  # the upper bytes of 8-bit words are 0


def _read(item: Dataset, *, big_endian: bool) -> Lut | None:
    try:
        described = [int(number) for number in item.LUTDescriptor]
        entries, first = described[:2]
        depth = described[2] if len(described) > 2 else 16
        entries = entries % MAX_ENTRIES or MAX_ENTRIES
        table = lut_table(item, entries, big_endian=big_endian, depth=depth)
    except (AttributeError, TypeError, ValueError):  # a missing or invalid descriptor
        return None
    return Lut(table, first, entries - len(table)) if len(table) > 1 else None


def _first(values: Pixels, lut: Lut) -> int:
    """The first input value, with the sign for which more of `values` are in the table."""
    sample = values[::_SAMPLE, ::_SAMPLE]
    stated, other = lut.first, lut.first + (_WRAP if lut.first < 0 else -_WRAP)
    inside = [_share_inside(sample, first, len(lut.table)) for first in (stated, other)]
    return other if inside[1] > inside[0] else stated


def _share_inside(sample: NDArray[np.float32], first: int, entries: int) -> float:
    return float(np.mean((sample >= first) & (sample < first + entries)))
