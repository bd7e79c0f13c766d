"""Decoders of compressed DICOM pixels: which are installed, and one for 12-bit JPEG."""

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
"""The package that reads every JPEG of DICOM but 12-bit JPEG Extended (extra `jpeg12`)."""

EXTRA = "pleura[jpeg12]"


@dataclass(frozen=True, slots=True)
class Decoder:
    """A compression of DICOM pixels, and whether it can be read."""

    name: str
    """The name of the transfer syntax in the standard."""

    available: bool
    package: str
    """The package to install if it is not available."""


def decoders() -> Iterator[Decoder]:
    """The compressions of films, and whether each can be read on this machine."""
    for syntax in (DEFLATED, *COMPRESSED):
        if syntax != JPEG_EXTENDED:
            yield Decoder(UID(syntax).name, bool(get_decoder(syntax).is_available), PACKAGE)
    extended = UID(JPEG_EXTENDED)
    yield Decoder(f"{extended.name}, 12 bits", is_available(extended), EXTRA)


PLUGIN = "pleura-imagecodecs"
DECODER_DEPENDENCIES = {UID(JPEG_EXTENDED): ("imagecodecs",)}


def add_jpeg12() -> None:
    """Register the decoder for 12-bit JPEG with pydicom, once; pydicom tries its own first."""
    decoder = get_decoder(JPEG_EXTENDED)
    known = (*decoder.available_plugins, *decoder.missing_dependencies)
    if not any(name.startswith(PLUGIN) for name in known):
        decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))


def is_available(uid: str) -> bool:
    """Whether this decoder is for the transfer syntax `uid` and its package is installed."""
    return uid in DECODER_DEPENDENCIES and find_spec("imagecodecs") is not None


def decode_frame(src: bytes, runner: Any) -> bytes:
    """Decode one frame; the depth of its pixels is set on `runner`, which is pydicom's."""
    import imagecodecs

    pixels = imagecodecs.jpeg_decode(src)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    return bytes(pixels.tobytes())
