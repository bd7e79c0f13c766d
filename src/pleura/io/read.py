"""Reading a film from a file of any known format; the first bytes decide the format."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from io import BytesIO
from pathlib import Path
from typing import IO

from pleura.core.errors import FilmError, UnreadableFilm, UnsuitableFilm
from pleura.core.types import Radiograph
from pleura.io.decoder_process import read_in_process, start_decoder
from pleura.io.decoding import NeedsDecoderProcess, decoding
from pleura.io.files.open_file import open_file
from pleura.io.files.remote import name_of
from pleura.io.film import DEFAULT, NOT_DICOM, DecodedFilm, ReadOptions
from pleura.io.film_checks import MAX_PIXELS, check_bytes
from pleura.io.images.read import read_image
from pleura.io.sniff import gzip_head, is_compressed_dicom, is_dicom, is_nifti

__all__ = ["is_stored_mirrored", "prepare_for", "read_film", "read_here", "read_radiograph"]

_DECODED_HERE = ("PNG", "JPEG", "DICOM")
"""Formats whose usual films are decoded in the caller's process; their readers make exceptions."""

_HEAD = 1024  # bytes that are enough to recognise every format

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_UNREAD_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive without a NIfTI file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture outside DICOM"),
    (b"8BPS", "a Photoshop picture"),
)
KNOWN = "PNG, JPEG, TIFF, BMP, WebP, DICOM or NIfTI"
"""The formats that can be read, for messages."""


def read_radiograph(
    source: Path | str | bytes, *, most_pixels: int = MAX_PIXELS, photographs: bool = False
) -> Radiograph:
    """Decode a film from a path, or from the bytes of a file.

    Returns pixels (H, W) float32 in the file's own grey values, brighter = denser; spacing in mm
    and view if the file states them; notes on what was unusual or assumed. A file that states
    more than `most_pixels` is rejected before it is decoded. A colour photograph is rejected after
    that, unless `photographs` is set.

    Raises `UnreadableFilm` (not an image, or damaged) or `UnsuitableFilm` (an image, but not a
    frontal chest film that can be segmented); the message says what to do. May be called from
    several threads.
    """
    return read_film(
        source, ReadOptions(most_pixels=most_pixels, photographs=photographs)
    ).radiograph


def read_film(source: Path | str | bytes, options: ReadOptions = DEFAULT) -> DecodedFilm:
    """Decode a film as `read_radiograph` does; if requested, read the header for DICOM results.

    PNG, JPEG and uncompressed DICOM films are decoded in this process, all others in a decoder
    process (`io.decoder_process`), so that a damaged film cannot end this one. A DICOM file is
    parsed once, by the process that decodes it; only one with a palette is parsed in both.

    Raises:
        UnreadableFilm, UnsuitableFilm: as `read_radiograph` does.
    """
    with _opened(source) as stream:
        try:
            head = _head(stream)
            kind = _kind(head)
            if not _needs_decoder_process(kind, head):
                return _read(stream, kind, options, here=False)
        except NeedsDecoderProcess:
            pass
        film = stream.getvalue() if isinstance(stream, BytesIO) else source
    return read_in_process(film, options)


def read_here(source: Path | str | bytes, options: ReadOptions = DEFAULT) -> DecodedFilm:
    """Do what `read_film` does, in this process for every format."""
    with _opened(source) as stream:
        return _read(stream, _kind(_head(stream)), options, here=True)


def prepare_for(path: Path) -> None:
    """Start a decoder process if the film at `path` will need one; raises nothing."""
    with suppress(FilmError), _opened(path) as stream:
        head = _head(stream)
        if _needs_decoder_process(_kind(head), head):
            start_decoder()


def is_stored_mirrored(path: Path) -> bool:
    """Whether a film is stored mirrored by its header, as `Radiograph.mirrored` tells.

    No pixel is read. A file that cannot be read is not mirrored: `read_film` raises its error.
    """
    try:
        with _opened(path) as stream:
            if _kind(_head(stream)) != "DICOM":
                return False
            from pleura.io.dicom.header import is_mirrored  # imports pydicom
            from pleura.io.dicom.parse import parse_dicom

            with decoding("DICOM", quote=False):
                return is_mirrored(parse_dicom(stream, stop_before_pixels=True))
    except FilmError:
        return False


def _needs_decoder_process(kind: str, head: bytes) -> bool:
    """Whether the first bytes already show that a decoder process is needed."""
    return kind not in _DECODED_HERE or (kind == "DICOM" and is_compressed_dicom(head))


def _head(stream: IO[bytes]) -> bytes:
    """The first bytes of a file, by which its format is recognised."""
    with decoding("image", alone=False):  # a disk may fail
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
            f"cannot open {name_of(path)}: {error.strerror or error}; "
            "check the name and the permissions"
        ) from error


def _kind(head: bytes) -> str:
    """The format of a file that begins with `head`, as shown to people."""
    if not head:
        raise UnreadableFilm("the file is empty; copy or export it again")
    if head[128:132] == b"DICM":  # checked first: a preamble may look like TIFF
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
    raise UnreadableFilm(f"this is {_describe_unknown(head)}; expected {KNOWN}: export it as one")


def _read(stream: IO[bytes], kind: str, options: ReadOptions, *, here: bool) -> DecodedFilm:
    """Read a film of format `kind`; with `here` every film is decoded in this process."""
    if kind == "DICOM":
        from pleura.io.dicom.read import read_dicom  # imports pydicom

        return read_dicom(stream, options, here=here)
    no_header = UnsuitableFilm(NOT_DICOM) if options.header else None
    return DecodedFilm(_read_picture(stream, kind, options), no_header=no_header)


def _read_picture(stream: IO[bytes], kind: str, options: ReadOptions) -> Radiograph:
    if kind == "NIfTI":
        from pleura.io.images.nifti import read_nifti  # imports nibabel

        return read_nifti(stream, most_pixels=options.most_pixels)
    return read_image(
        stream, kind=kind, most_pixels=options.most_pixels, photographs=options.photographs
    )


def _describe_unknown(head: bytes) -> str:
    """A description of a file whose format is not read."""
    for start, name in _UNREAD_FORMATS:
        if head.startswith(start):
            return name
    if head[4:8] == b"ftyp":
        return "a HEIC or AVIF picture, or a video"
    if b"\0" not in head and sum(byte < 9 for byte in head) == 0:
        return "a text file"
    return "a file of no known image format"
