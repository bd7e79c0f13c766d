"""The compressions of DICOM, which of them can be read here, and a decoder for 12-bit JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from pleura.io.dicom.decode.syntaxes import COMPRESSED, DEFLATED, JPEG_EXTENDED

__all__ = [
    "DECODER_DEPENDENCIES",
    "PACKAGE",
    "PLUGIN",
    "Decoder",
    "add_jpeg12",
    "decode_frame",
    "decoders",
    "is_available",
]


PACKAGE = "python-gdcm"
"""Reads every JPEG of DICOM but 12-bit JPEG Extended, for which there is the extra `jpeg12`."""

EXTRA = "pleura[jpeg12]"


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
    for syntax in (DEFLATED, *COMPRESSED):
        if syntax != JPEG_EXTENDED:
            yield Decoder(UID(syntax).name, bool(get_decoder(syntax).is_available), PACKAGE)
    extended = UID(JPEG_EXTENDED)
    yield Decoder(f"{extended.name}, 12 bits", is_available(extended), EXTRA)


PLUGIN = "pleura-imagecodecs"
DECODER_DEPENDENCIES = {UID(JPEG_EXTENDED): ("imagecodecs",)}


def add_jpeg12() -> None:
    """Register this decoder with pydicom, once; pydicom tries its own decoders before."""
    decoder = get_decoder(JPEG_EXTENDED)
    known = (*decoder.available_plugins, *decoder.missing_dependencies)
    if not any(each.startswith(PLUGIN) for each in known):
        decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))


def is_available(uid: str) -> bool:
    """Whether a film of this transfer syntax can be decoded here."""
    return uid in DECODER_DEPENDENCIES and find_spec("imagecodecs") is not None


def decode_frame(src: bytes, runner: Any) -> bytes:
    """One frame, decoded; `runner` is pydicom's, and is told how deep the pixels are."""
    import imagecodecs

    pixels = imagecodecs.jpeg_decode(src)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return bytes(pixels.tobytes())
