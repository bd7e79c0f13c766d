"""Limiting the scans of a progressive JPEG: a decoder goes over all pixels for each scan."""

from __future__ import annotations

from typing import IO

from pleura.core.errors import UnreadableFilm

__all__ = ["check_scans"]

MAX_SCANS = 100
"""The most scans of a film; encoders write about ten."""

_SCAN = b"\xff\xda"  # the marker that begins a scan; JPEG never writes these bytes for pixels
_BLOCK = 1 << 20  # bytes


def check_scans(stream: IO[bytes]) -> None:
    """Raise `UnreadableFilm` for a JPEG file with so many scans that decoding takes minutes.

    The position in the stream is kept.
    """
    at = stream.tell()
    stream.seek(0)
    scans, end = 0, b""
    while block := stream.read(_BLOCK):
        scans += (end + block).count(_SCAN)
        end = block[-1:]
    stream.seek(at)
    if scans > MAX_SCANS:
        raise UnreadableFilm(
            f"the progressive JPEG has {scans} scans; the limit is {MAX_SCANS}: "
            "save the film again as PNG or as a plain JPEG"
        )
