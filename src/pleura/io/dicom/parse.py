"""Parsing a DICOM file to a pydicom `Dataset`, with limits on work and memory.

pydicom reads everything that a file declares: millions of elements, or a few megabytes that inflate
to gigabytes. Every DICOM film is parsed here, so that the limits hold for every caller.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import IO, Any

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from pleura.core.errors import UnreadableFilm
from pleura.io.decoding import NeedsDecoderProcess
from pleura.io.dicom.decode.fragments import with_delimiter
from pleura.io.files.bounded_reads import BoundedReads

__all__ = ["items_of", "parse_dicom", "raw_length"]

MAX_INFLATED = 500_000_000
"""The most bytes to which a deflated file may inflate."""

MAX_ITEM_BYTES = 4_000_000
MAX_ITEMS = 1_000
"""The most bytes and the most items of a sequence that Pleura reads."""

_ITEMS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")  # the tag of an item, in both byte orders
_CHUNK = 1 << 20


def parse_dicom(
    stream: IO[bytes], *, inflate: bool = True, stop_before_pixels: bool = False
) -> Dataset:
    """Parse a DICOM file, with or without the preamble, from its beginning.

    Compressed pixels without a delimiter at the end get one.

    Raises:
        UnreadableFilm: the file has too many elements, or inflates to too much.
        NeedsDecoderProcess: the file is deflated, and `inflate` is off.
        Exception: any error of pydicom for a damaged file; callers use `io.decoding`.
    """
    options = {"inflate": inflate, "stop_before_pixels": stop_before_pixels}
    dataset = _parsed(stream, **options)
    if "Rows" in dataset or "SOPClassUID" in dataset:
        return dataset
    stream.seek(0)
    complete = with_delimiter(stream.read())
    return dataset if complete is None else _parsed(BytesIO(complete), **options)


def _parsed(stream: IO[bytes], *, inflate: bool, stop_before_pixels: bool) -> Dataset:
    reads = _DicomReads(stream, inflate=inflate)
    return dcmread(reads, force=True, stop_before_pixels=stop_before_pixels)


def raw_length(dataset: Dataset, keyword: str) -> int:
    """Length of an attribute's value in the file, bytes; 0 if it is missing or was converted.

    pydicom converts a value at its first use, which is slow for a long one.
    """
    element = dataset.get_item(keyword) if keyword in dataset else None
    value = element.value if isinstance(element, RawDataElement) else None
    return len(value) if isinstance(value, bytes) else 0


def items_of(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence attribute; empty if it is missing or not a sequence.

    Raises:
        UnreadableFilm: the sequence is far longer than any film needs.
    """
    element = dataset.get_item(keyword) if keyword in dataset else None
    raw = element.value if isinstance(element, RawDataElement) else None
    if isinstance(raw, bytes) and (
        len(raw) > MAX_ITEM_BYTES or sum(map(raw.count, _ITEMS)) > MAX_ITEMS
    ):
        raise UnreadableFilm(
            f"the DICOM attribute {keyword} holds far more items than a film needs: "
            "the file is damaged; copy or export it again"
        )
    items: Any = None
    with suppress(Exception):  # a damaged value can raise errors of any class
        items = dataset.get(keyword)
    is_sequence = isinstance(items, Sequence) and not isinstance(items, str | bytes)
    return [item for item in items if isinstance(item, Dataset)] if is_sequence else []


class _DicomReads(BoundedReads):
    """A bounded stream; deflated content is read only with `inflate`, and up to a limit."""

    def __init__(self, stream: IO[bytes], *, inflate: bool) -> None:
        super().__init__(stream)
        self._inflate = inflate

    def read(self, size: int = -1) -> bytes:
        """Read as a file does; pydicom reads all the rest at once only if it is deflated."""
        if size is not None and size >= 0:
            return super().read(size)
        if not self._inflate:
            raise NeedsDecoderProcess
        deflated = super().read()
        _check_inflated_size(deflated)
        return deflated


def _check_inflated_size(deflated: bytes) -> None:
    """Raise `UnreadableFilm` if a raw deflate stream inflates to more than `MAX_INFLATED`."""
    inflater, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while deflated and not inflater.eof:
        total += len(inflater.decompress(deflated, _CHUNK))
        deflated = inflater.unconsumed_tail
        if total > MAX_INFLATED:
            raise UnreadableFilm(
                f"the deflated DICOM file inflates to over {MAX_INFLATED // 10**6} MB; "
                "it is damaged, or not a film; export it again"
            )
