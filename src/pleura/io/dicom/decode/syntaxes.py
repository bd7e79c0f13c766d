"""UIDs of the transfer syntaxes of films (DICOM PS3.6, annex A); does not import pydicom."""

from __future__ import annotations

__all__ = [
    "COMPRESSED",
    "DEFLATED",
    "EXPLICIT_BIG_ENDIAN",
    "EXPLICIT_LITTLE_ENDIAN",
    "IMPLICIT_LITTLE_ENDIAN",
    "JPEG_EXTENDED",
    "UNCOMPRESSED",
]

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
"""The data set is compressed as one stream; its pixels are uncompressed inside."""

UNCOMPRESSED = (EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN)

JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
"""JPEG of 8 or 12 bits; 12 bits need the extra `jpeg12`."""

COMPRESSED = (
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Lossy (Near-Lossless)
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 (Lossless Only)
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless, Non-Hierarchical
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline (8 bits)
    JPEG_EXTENDED,
    "1.2.840.10008.1.2.5",  # RLE Lossless
)
"""Syntaxes with compressed pixels, in the order in which the node proposes them."""
