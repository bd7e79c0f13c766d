"""Repacking compressed pixels of DICOM that do not follow the standard.

A film is one frame, so all its fragments belong to it in their order; a table of offsets that
states otherwise is ignored. Pixels that follow the standard are not changed.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from pleura.io.dicom.decode.codestream import begins_codestream

__all__ = ["codestream_of", "ends_early", "joined_fragments", "repack", "with_delimiter"]

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_TAG, _OPEN = b"\xe0\x7f\x10\x00", b"\xff\xff\xff\xff"
_END_OF_IMAGE = b"\xff\xd9"
_STARTS = (_TAG + b"OB\0\0" + _OPEN, _TAG + b"OW\0\0" + _OPEN, _TAG + b"UN\0\0" + _OPEN)
_NOTE = "the compressed pixels are not packed as DICOM requires, but they could be read"


def repack(dataset: Dataset, notes: list[str]) -> None:
    """Pack the compressed pixels of a film as the standard requires, in place."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    packed: bytes = dataset.PixelData
    fragments = list(_fragments(packed))
    if not fragments:
        _wrap(dataset, notes)
        return
    table, *parts = fragments
    if begins_codestream(table) or not parts:
        table, parts = b"", fragments
    tables = any(f"ExtendedOffsetTable{end}" in dataset for end in ("", "Lengths"))
    if len(parts) == 1 and table in (b"", bytes(4)) and parts is not fragments and not tables:
        return
    if parts is fragments or table not in (b"", bytes(4)):
        notes.append(_NOTE)
    _pack(dataset, b"".join(parts))


def codestream_of(dataset: Dataset) -> bytes:
    """The compressed picture of a film, after `repack`; empty for uncompressed films."""
    if not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return b""
    return next(filter(begins_codestream, _fragments(dataset.PixelData)), b"")


def ends_early(dataset: Dataset) -> bool:
    """Whether a film's JPEG, JPEG-LS or JPEG 2000 codestream ends without its end marker."""
    stream = joined_fragments(dataset.PixelData)
    return begins_codestream(stream) and not stream.rstrip(b"\0").endswith(_END_OF_IMAGE)


def joined_fragments(packed: bytes) -> bytes:
    """The compressed picture of one frame: the values of the items, without a table of offsets."""
    table, *parts = list(_fragments(packed)) or [packed]
    return b"".join(([table] if begins_codestream(table) else []) + parts)


def _wrap(dataset: Dataset, notes: list[str]) -> None:
    """Pack a codestream that is stored without items."""
    if begins_codestream(dataset.PixelData):
        notes.append(_NOTE)
        _pack(dataset, dataset.PixelData)


def _pack(dataset: Dataset, codestream: bytes) -> None:
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def _fragments(packed: bytes) -> Iterator[bytes]:
    """The values of the items, the table of offsets first, up to the first other bytes."""
    at = 0
    while packed[at : at + 4] == _ITEM:
        size = int.from_bytes(packed[at + 4 : at + 8], "little")
        yield packed[at + 8 : at + 8 + size]
        at += 8 + size


def with_delimiter(content: bytes) -> bytes | None:
    """The file up to its last complete fragment, plus a delimiter; None if that is cut short."""
    begins = [at for start in _STARTS if (at := content.rfind(start + _ITEM)) >= 0]
    implicit = content.rfind(_TAG + _OPEN + _ITEM)
    if not begins and implicit < 0:
        return None
    at = max(begins) + 12 if begins else implicit + 8
    while content[at : at + 4] == _ITEM:
        at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
    if at > len(content):
        return None
    return content[:at] + _END + bytes(4)
