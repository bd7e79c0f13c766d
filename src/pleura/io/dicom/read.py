"""Reading a film from a DICOM file: CR, DX, or a secondary capture.

The Radiograph contains no patient data, and no message quotes a value that could name a person.
Compressed pixels are decoded by the packages that pydicom finds; python-gdcm is installed with
Pleura.
"""

from __future__ import annotations

from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import UID

from pleura.core.arrays import Pixels
from pleura.core.errors import FilmError, UnreadableFilm, UnsuitableFilm
from pleura.core.types import Radiograph
from pleura.io.decoding import NeedsDecoderProcess, decoding
from pleura.io.dicom.decode.brightness import brightness, stored_values
from pleura.io.dicom.decode.codecs import add_jpeg12, is_available
from pleura.io.dicom.decode.fragments import repack
from pleura.io.dicom.decode.samples import check_stream, correct_samples
from pleura.io.dicom.decode.syntaxes import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    JPEG_EXTENDED,
)
from pleura.io.dicom.header import (
    checked_text,
    is_mirrored,
    lenient_text,
    number,
    orientation_doubts,
    part_notes,
    side_notes,
    spacing_of,
    view_of,
)
from pleura.io.dicom.header_checks import check_is_film
from pleura.io.dicom.parse import parse_dicom
from pleura.io.dicom.received import check_received
from pleura.io.dicom.source import film_header, film_uid, header_elements, missing_in
from pleura.io.film import DEFAULT, DecodedFilm, ReadOptions
from pleura.io.film_checks import check_contrast, check_size
from pleura.io.images.grey import to_grey

__all__ = ["read_dicom"]

_NATIVE = {  # (implicit VR, little endian) -> transfer syntax
    (True, True): IMPLICIT_LITTLE_ENDIAN,
    (False, True): EXPLICIT_LITTLE_ENDIAN,
    (False, False): EXPLICIT_BIG_ENDIAN,
}


def read_dicom(
    stream: IO[bytes], options: ReadOptions = DEFAULT, *, here: bool = True
) -> DecodedFilm:
    """Read a film from an open DICOM file, with or without the preamble; it is parsed once.

    Without `here` only films that need no decoder are decoded, in several threads at a time.

    Raises:
        UnsuitableFilm: another modality or body part, a lateral view, several frames, or a colour
            photograph (unless `options.photographs`).
        UnreadableFilm: damage, or a compression without a decoder.
        NeedsDecoderProcess: the film is not decoded without `here`.
    """
    with decoding("DICOM", quote=False, alone=here) as state:
        dataset = parse_dicom(stream, inflate=here)
        if options.received:
            check_received(dataset, most_pixels=options.most_pixels)
        if "SOPClassUID" not in dataset and "Rows" not in dataset:
            raise UnreadableFilm(
                "the file begins as DICOM does, but no image can be read from it: it is cut short, "
                "or holds no image; copy or export it again"
            )
        check_is_film(dataset, forced=options.photographs)
        check_size(int(dataset.Rows), int(dataset.Columns), most=options.most_pixels)
        _set_transfer_syntax(dataset)
        if not here and _needs_decoder_process(dataset):
            raise NeedsDecoderProcess
        elements = header_elements(dataset) if options.header else None
        _check_decoder(dataset)
        _drop_frame_number(dataset)
        repack(dataset, state.notes)
        pixels = _film_pixels(dataset, state.notes, photographs=options.photographs)
        check_contrast(pixels)
        spacing = spacing_of(dataset, state.notes)
        doubts = orientation_doubts(dataset)
        state.notes += [*part_notes(dataset), *(doubt.note for doubt in doubts)]
        state.notes += side_notes(dataset) + _intent_notes(dataset)
    if state.warned:
        state.notes.append("the file departs from the DICOM standard, but it could be read")
    radiograph = Radiograph(
        pixels,
        spacing=spacing,
        view=view_of(dataset),
        notes=tuple(state.notes),
        doubts=tuple(doubt.code for doubt in doubts),
        mirrored=is_mirrored(dataset),
    )
    return DecodedFilm(radiograph) if elements is None else _with_header(radiograph, elements)


def _with_header(radiograph: Radiograph, elements: Dataset) -> DecodedFilm:
    """The film with its header, or with the reason why no DICOM result can refer to it."""
    uid = film_uid(elements)
    try:
        header = film_header(elements)
    except FilmError as error:
        return DecodedFilm(radiograph, uid, no_header=error)
    return DecodedFilm(_doubted(radiograph, missing_in(header, elements)), uid, header)


def _doubted(radiograph: Radiograph, missing: list[str]) -> Radiograph:
    """The film with a doubt about its identity, if results lack attributes of it."""
    if not missing:
        return radiograph
    note = f"{', '.join(missing)} of the film cannot be repeated in DICOM results"
    return replace(
        radiograph,
        notes=(*radiograph.notes, note),
        doubts=(*radiograph.doubts, "identity_changed"),
    )


def _film_pixels(dataset: Dataset, notes: list[str], *, photographs: bool) -> Pixels:
    photometric = checked_text(dataset, "PhotometricInterpretation")
    stated_grey = correct_samples(dataset, notes)
    check_stream(dataset)
    stored = _decoded(dataset)
    if checked_text(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
        stored = np.asarray(apply_color_lut(stored, dataset))
    if stored.ndim == 3 and stored.shape[2] == 3:
        deep = stored.dtype.itemsize == 2
        rgb = (stored >> (_depth(stored) - 8) if deep else stored).astype(np.uint8)
        grey, more = to_grey(Image.fromarray(rgb), photographs=photographs)
        notes += more
        if not stated_grey:
            return np.asarray(grey, dtype=np.float32)
        stored, dataset.PhotometricInterpretation = np.asarray(grey), photometric
    if stored.ndim != 2:
        raise UnsuitableFilm(f"the DICOM pixels have the shape {stored.shape}; expected one film")
    if number(dataset, "BitsStored") == 1:
        raise UnsuitableFilm("the image has 1 bit a pixel, as a mask has; give the film itself")
    return brightness(stored, dataset, notes)


def _decoded(dataset: Dataset) -> NDArray[Any]:
    try:
        return stored_values(dataset)
    except Exception:  # decoders raise errors of any class
        syntax = dataset.file_meta.TransferSyntaxUID
        name, remedy = syntax.name, ""
        if syntax == JPEG_EXTENDED and not is_available(syntax):
            remedy = ", `pip install 'pleura[jpeg12]'` for 12 bits"
        raise UnreadableFilm(
            f"the pixels ({name}) could not be decoded: the file is damaged or cut short, or of a "
            f"variant without a decoder here; copy it again{remedy}, or export it uncompressed"
        ) from None


def _drop_frame_number(dataset: Dataset) -> None:
    """Delete an invalid number of frames; a film of several frames was rejected before."""
    if "NumberOfFrames" in dataset and number(dataset, "NumberOfFrames") != 1:
        del dataset.NumberOfFrames


def _depth(rgb: NDArray[Any]) -> int:
    """Bits that 16-bit colour values use, at least 8."""
    return max(8, int(np.max(rgb)).bit_length())


def _set_transfer_syntax(dataset: Dataset) -> None:
    """Set the transfer syntax of a file without one: the syntax with which it was parsed."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = UID(_NATIVE[bool(implicit), bool(little)])


def _needs_decoder_process(dataset: Dataset) -> bool:
    """Whether decoding runs a library's compiled decoder, or expands a palette."""
    syntax = UID(checked_text(dataset.file_meta, "TransferSyntaxUID"))
    is_palette = checked_text(dataset, "PhotometricInterpretation") == "PALETTE COLOR"
    return is_palette or not syntax.is_transfer_syntax or syntax.is_encapsulated


def _check_decoder(dataset: Dataset) -> None:
    """Raise `UnreadableFilm` with the remedy if no decoder is installed."""
    syntax = UID(checked_text(dataset.file_meta, "TransferSyntaxUID"))
    if syntax == JPEG_EXTENDED:
        add_jpeg12()
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:  # pydicom's, for a syntax that it does not know
        available = False
    if not available:
        raise UnreadableFilm(
            f"the pixels are compressed as {syntax.name}, for which no decoder is installed; "
            "run `pip install python-gdcm`, or export the film uncompressed"
        )


def _intent_notes(dataset: Dataset) -> list[str]:
    if lenient_text(dataset, "PresentationIntentType") != "FOR PROCESSING":
        return []
    return ["raw detector values (FOR PROCESSING); the film for presentation is the better input"]
