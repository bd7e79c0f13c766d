"""12-bit JPEG Extended, through imagecodecs where it is installed (extra `jpeg12`).

A decoding plugin as pydicom wants it; python-gdcm refuses this variant.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGExtended12Bit

__all__ = ["DECODER_DEPENDENCIES", "PLUGIN", "add_jpeg12", "decode_frame", "is_available"]

PLUGIN = "pleura-imagecodecs"
DECODER_DEPENDENCIES = {JPEGExtended12Bit: ("imagecodecs",)}


def add_jpeg12() -> None:
    """Tell pydicom of this decoder, once; it is asked after those that pydicom knows itself."""
    decoder = get_decoder(JPEGExtended12Bit)
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
