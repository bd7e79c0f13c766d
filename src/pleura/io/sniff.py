"""Recognising DICOM and NIfTI by a file's first bytes, without loading their libraries."""

from __future__ import annotations

import zlib

from pleura.io.dicom.decode.syntaxes import UNCOMPRESSED

__all__ = ["NIFTI_MAGICS", "gzip_head", "is_compressed_dicom", "is_dicom", "is_nifti"]

NIFTI_MAGICS = {
    348: (slice(344, 348), b"n+1\0", b"ni1\0"),
    540: (slice(4, 8), b"n+2\0", b"ni2\0"),
}
"""Size of the header -> place of the magic bytes, those of a single file, those of a pair."""

_TRANSFER_SYNTAX = b"\x02\0\x10\0UI"  # this element is always explicit VR, little endian
_VRS = frozenset(
    {b"UI", b"UL", b"OB", b"SH", b"CS", b"DA", b"LO", b"AE"}
)  # VRs of elements that may come first


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with `head` (at least 132 bytes) is DICOM.

    A file without the preamble must begin with an element of group 0002 or 0008 with a plausible
    VR or length.
    """
    if head[128:132] == b"DICM":
        return True
    if head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    order = "big" if head[:1] == b"\x00" else "little"
    element = int.from_bytes(head[2:4], order)  # type: ignore[arg-type]
    length = int.from_bytes(head[4:8], order)  # type: ignore[arg-type]
    return element < 0x0100 and (head[4:6] in _VRS or length <= 64)


def is_compressed_dicom(head: bytes) -> bool:
    """Whether the transfer syntax in `head` is a compressed one: deflated, or encapsulated pixels.

    False for a file that states no transfer syntax, as one without the preamble.
    """
    at = head.find(_TRANSFER_SYNTAX)
    if at < 0:
        return False
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    syntax = head[at + 8 : at + 8 + length].rstrip(b"\0 ")
    return syntax.decode("latin-1") not in UNCOMPRESSED


def is_nifti(head: bytes) -> bool:
    """Whether a file that begins with `head` (at least 348 bytes) is NIfTI-1 or NIfTI-2."""
    return any(head[where] in magics for where, *magics in NIFTI_MAGICS.values())


def gzip_head(head: bytes, size: int) -> bytes:
    """The first bytes inside a gzip file that begins with `head`; empty for other files."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, size)  # 31: expect a gzip header
    except zlib.error:
        return b""
