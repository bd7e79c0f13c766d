"""A file of any kind we know -> `Radiograph`. What a file is, its first bytes say, not its name."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from pleura.core.errors import FilmError, UnreadableFilm
from pleura.core.types import Radiograph
from pleura.io.decoder_process import read_in_process, start_decoder
from pleura.io.decoding import NeedsDecoderProcess, decoding
from pleura.io.film_checks import MOST_PIXELS, check_bytes
from pleura.io.images.read import read_image
from pleura.io.opening import open_file
from pleura.io.sniff import gzip_head, is_compressed_dicom, is_dicom, is_nifti

__all__ = ["prepare_for", "read_here", "read_radiograph"]

_DECODED_HERE = ("PNG", "JPEG", "DICOM")
"""Formats whose usual films are decoded in the caller's process; each reader makes exceptions."""

_HEAD = 1024  # bytes that tell every format apart

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive without NIfTI in it"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture outside DICOM"),
    (b"8BPS", "a Photoshop picture"),
)
KNOWN = "PNG, JPEG, TIFF, BMP, WebP, DICOM or NIfTI"
"""What can be read, as told to people."""


def read_radiograph(
    source: Path | str | bytes, *, most_pixels: int = MOST_PIXELS, photographs: bool = False
) -> Radiograph:
    """Decode a film from a path, or from the bytes of a file.

    Returns pixels (H, W) float32 in the file's own grey values, brighter = denser; spacing in mm
    and view where the file states them; notes on whatever was found or assumed. A file that says
    it has more than `most_pixels` is refused before it is decoded; so is a colour photograph, after
    that, unless `photographs` are wanted.

    PNG, JPEG and uncompressed DICOM films are decoded in this process, all others in a decoder
    process (`io.decoder_process`), which a damaged film cannot take further with it.

    Raises `UnreadableFilm` (no image, or damaged) or `UnsuitableFilm` (an image, but no frontal
    chest film we can work on), with a sentence that says what to do. May be called from several
    threads.
    """
    with _opened(source) as stream:
        try:
            kind = _kind(_head(stream))
            if kind in _DECODED_HERE:
                return _read(
                    stream, kind, here=False, most_pixels=most_pixels, photographs=photographs
                )
        except NeedsDecoderProcess:
            pass
        film = stream.getvalue() if isinstance(stream, BytesIO) else source
    return read_in_process(film, most_pixels=most_pixels, photographs=photographs)


def read_here(
    source: Path | str | bytes, *, most_pixels: int = MOST_PIXELS, photographs: bool = False
) -> Radiograph:
    """What `read_radiograph` does, in this process whatever the format."""
    with _opened(source) as stream:
        kind = _kind(_head(stream))
        return _read(stream, kind, here=True, most_pixels=most_pixels, photographs=photographs)


def prepare_for(path: Path) -> None:
    """Start a decoder process if the film at `path` will want one; raises nothing."""
    with suppress(FilmError), _opened(path) as stream:
        head = _head(stream)
        if _kind(head) not in _DECODED_HERE or is_compressed_dicom(head):
            start_decoder()


def _head(stream: IO[bytes]) -> bytes:
    """The first bytes of a file, which say what it is."""
    with decoding("image", alone=False):  # a disk may fail, too
        check_bytes(stream.seek(0, os.SEEK_END))
        stream.seek(0)
        head = stream.read(_HEAD)
        stream.seek(0)
    return head


def _opened(source: Path | str | bytes) -> AbstractContextManager[IO[bytes]]:
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesIO(source)
    path = Path(source)
    try:
        return open_file(path)
    except IsADirectoryError as error:
        raise UnreadableFilm(
            f"{path} is a folder; give one film, or segment the whole folder"
        ) from error
    except OSError as error:
        raise UnreadableFilm(
            f"cannot open {path}: {error.strerror or error}; check the name and the permissions"
        ) from error


def _kind(head: bytes) -> str:
    """The format of a file that begins with `head`, as shown to people."""
    if not head:
        raise UnreadableFilm("the file is empty; copy or export it again")
    if head[128:132] == b"DICM":  # first: a preamble may make the file a TIFF as well
        return "DICOM"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if is_nifti(head) or is_nifti(gzip_head(head, _HEAD)):
        return "NIfTI"
    if is_dicom(head):
        return "DICOM"
    raise UnreadableFilm(f"this is {_name_stranger(head)}; expected {KNOWN}: export it as one")


def _read(
    stream: IO[bytes], kind: str, *, here: bool, most_pixels: int, photographs: bool
) -> Radiograph:
    """Read a film of the format `kind`; `here` is whether any film may be decoded here."""
    if kind == "NIfTI":
        from pleura.io.images.nifti import read_nifti  # nibabel, for these films alone

        return read_nifti(stream, most_pixels=most_pixels)
    if kind == "DICOM":
        from pleura.io.dicom.read import read_dicom  # pydicom, for these films alone

        return read_dicom(stream, most_pixels=most_pixels, photographs=photographs, here=here)
    return read_image(stream, kind=kind, most_pixels=most_pixels, photographs=photographs)


def _name_stranger(head: bytes) -> str:
    """What a file of no kind we read seems to be."""
    for start, name in _STRANGERS:
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return "a HEIC or AVIF picture, or a film in the other sense"
    if b"\0" not in head and sum(byte < 9 for byte in head) == 0:
        return "a text file"
    return "a file of no known image format"
