"""Checking DICOM objects that came over the network, and reading those to be sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import generate_uid

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.decoding import decoding
from pleura.io.dicom.decode.fragments import ends_early, joined_fragments
from pleura.io.dicom.decode.syntaxes import (
    COMPRESSED,
    DEFLATED,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    UNCOMPRESSED,
)
from pleura.io.dicom.header import checked_text, lenient_text, number
from pleura.io.dicom.header_checks import FILM_CLASSES, check_is_film
from pleura.io.dicom.objects.common import MAKER
from pleura.io.dicom.parse import parse_dicom
from pleura.io.dicom.source import film_header
from pleura.io.film_checks import MAX_PIXELS, check_size

__all__ = [
    "FILM_CLASSES",
    "ReceivedFile",
    "check_received",
    "check_received_file",
    "commitment_request",
    "dataset_from_json",
    "read_objects",
    "references",
    "transfer_syntaxes",
]

_PLAIN_PIXELS = (*UNCOMPRESSED, DEFLATED)


def transfer_syntaxes() -> list[str]:
    """The transfer syntaxes in which a film can be read on this machine."""
    readable = (syntax for syntax in COMPRESSED if get_decoder(syntax).is_available)
    return [*_PLAIN_PIXELS, *readable]


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A film's file that passed the quick checks."""

    uid: str
    """SOPInstanceUID."""

    ends_early: bool = False
    """The compressed pixels lack their end marker; only decoding shows if they are complete."""

    pixels: str = ""
    """The transfer syntax and the SHA-256 of the pixels, with a blank between them."""


def check_received_file(content: bytes, *, most_pixels: int = MAX_PIXELS) -> ReceivedFile:
    """Check a film's file without decoding its pixels.

    Raises:
        UnreadableFilm: the bytes are not DICOM, or fewer than the header states.
        UnsuitableFilm: the object is not a frontal chest film, or is a result of Pleura.
    """
    with decoding("DICOM", quote=False):
        film = parse_dicom(BytesIO(content))
        check_received(film, most_pixels=most_pixels)
        film_header(film)  # a result, or the report of a failure, can refer to the film
        _check_not_blank(film)
        return ReceivedFile(
            str(checked_text(film, "SOPInstanceUID")),
            ends_early=ends_early(film),
            pixels=_fingerprint(film),
        )


def check_received(film: Dataset, *, most_pixels: int) -> None:
    """Check a parsed object; raises as `check_received_file` does."""
    if "SOPClassUID" not in film or "SOPInstanceUID" not in film:
        raise UnreadableFilm(
            "the object has no SOP class or instance UID: it is damaged, or not a film; "
            "send it again"
        )
    if lenient_text(film, "ManufacturerModelName") == MAKER.upper():
        raise UnsuitableFilm("this is a result of Pleura; expected the film from which it was made")
    check_is_film(film)
    check_size(int(film.Rows), int(film.Columns), most=most_pixels)
    _check_length(film)


def _check_not_blank(film: Dataset) -> None:
    """Raise `UnreadableFilm` for pixels without compression that all have the same value."""
    if checked_text(film.file_meta, "TransferSyntaxUID") not in _PLAIN_PIXELS:
        return
    pixels: bytes = film.PixelData
    step = 2 if int(number(film, "BitsAllocated") or 8) == 16 else 1
    size = len(pixels) - len(pixels) % step
    if pixels[step:size] == pixels[: size - step]:
        raise UnreadableFilm(
            "every pixel of the film has the same value: it is blank; send the film again"
        )


def _fingerprint(film: Dataset) -> str:
    """See `ReceivedFile.pixels`. Archives pack a compressed picture anew, so its parts are joined.

    The syntaxes without compression that store the same bytes have the name of one of them.
    """
    syntax = str(film.file_meta.TransferSyntaxUID)
    pixels = joined_fragments(film.PixelData) if syntax in COMPRESSED else film.PixelData
    if syntax in (IMPLICIT_LITTLE_ENDIAN, DEFLATED):
        syntax = EXPLICIT_LITTLE_ENDIAN
    return f"{syntax} {hashlib.sha256(pixels).hexdigest()}"


def read_objects(paths: Iterable[Path]) -> list[Dataset]:
    """Read DICOM objects that Pleura wrote, to send them."""
    return [dcmread(path) for path in paths]


def commitment_request(objects: Iterable[Dataset]) -> Dataset:
    """The request to keep these objects, with a new TransactionUID (PS3.4 J.3.2)."""
    request = Dataset()
    request.TransactionUID = generate_uid(prefix=None)
    request.ReferencedSOPSequence = references(objects)
    return request


def references(objects: Iterable[Dataset]) -> list[Dataset]:
    """The items of ReferencedSOPSequence that name these objects."""
    items = []
    for result in objects:
        item = Dataset()
        item.ReferencedSOPClassUID = result.SOPClassUID
        item.ReferencedSOPInstanceUID = result.SOPInstanceUID
        items.append(item)
    return items


def dataset_from_json(content: dict[str, Any]) -> Dataset:
    """An object from its DICOM JSON, as a DICOMweb service sends it, without the pixels.

    Raises:
        UnreadableFilm: the content is not DICOM JSON.
    """
    with decoding("DICOM", quote=False):
        return Dataset.from_json(content, bulk_data_uri_handler=lambda _tag, _vr, _uri: None)


def _check_length(film: Dataset) -> None:
    """Raise `UnreadableFilm` if there are fewer pixels than rows and columns state."""
    samples = int(number(film, "SamplesPerPixel") or 1)
    bits = int(number(film, "BitsAllocated") or 8)
    expected = int(film.Rows) * int(film.Columns) * samples * bits // 8
    compressed = checked_text(film.file_meta, "TransferSyntaxUID") not in _PLAIN_PIXELS
    if not film.PixelData or (not compressed and len(film.PixelData) < expected):
        raise UnreadableFilm(
            f"the film holds {len(film.PixelData or b'')} bytes of pixels, its size needs "
            f"{expected}: it was cut short; send it again"
        )
