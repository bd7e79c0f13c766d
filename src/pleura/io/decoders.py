"""Which of DICOM's compressions can be read on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from pleura.io import jpeg12

__all__ = ["PACKAGE", "Decoder", "decoders"]

PACKAGE = "python-gdcm"
"""Reads every JPEG of DICOM but 12-bit JPEG Extended, for which there is the extra `jpeg12`."""

EXTRA = "pleura[jpeg12]"

_SYNTAXES = (
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
)


@dataclass(frozen=True, slots=True)
class Decoder:
    """One way in which DICOM compresses pixels."""

    name: str
    """The transfer syntax's, as the standard writes it."""

    available: bool
    package: str
    """What to install where it is not."""


def decoders() -> Iterator[Decoder]:
    """The compressions that films come in, and whether each can be read here."""
    for syntax in _SYNTAXES:
        yield Decoder(syntax.name, bool(get_decoder(syntax).is_available), PACKAGE)
    extended = uid.JPEGExtended12Bit
    yield Decoder(f"{extended.name}, 12 bits", jpeg12.is_available(extended), EXTRA)
