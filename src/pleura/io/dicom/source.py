"""Making the header that DICOM results copy from the film: patient, study and film.

Text of patient and study (names, numbers, descriptions) is repeated byte for byte, in the film's
own character set, because a result with another identity would belong to another patient. Other
values are checked against the standard, since headers contain dates of an older standard and
blanks. An invalid value is left empty, and the film gets the verdict `review`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import config, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pydicom.valuerep import DS, PersonName, validate_value

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io.decoding import decoding, quietly
from pleura.io.dicom.decode.luts import lut_table
from pleura.io.dicom.header import checked_text, lenient_text, number, orientation, pair
from pleura.io.dicom.objects.film_text import copy_bytes, is_blank, keep_bytes, raw_value
from pleura.io.dicom.objects.request import add_request, for_result
from pleura.io.dicom.parse import parse_dicom
from pleura.io.film import NOT_DICOM
from pleura.io.sniff import is_dicom

__all__ = [
    "FilmHeader",
    "add_display",
    "check_is_dicom",
    "film_header",
    "film_uid",
    "header_elements",
    "missing_in",
]


NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""UIDs that an object needs to refer to the film and to belong to its study."""

EMPTY_IF_UNKNOWN = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
LEFT_OUT_IF_UNKNOWN = (
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "IssuerOfPatientID",
)
_PATIENT = (*EMPTY_IF_UNKNOWN, *LEFT_OUT_IF_UNKNOWN)
_TEXTS = ("PN", "LO", "SH")
SEXES = ("M", "F", "O")
_UID = re.compile(r"(?=.{1,64}$)\d+(\.\d+)+")
"""A UID as in PS3.5 9.1, except that its numbers may begin with 0: some devices write them so, and
archives know the film and its study by these digits."""

_PIXELS_GROUP = 0x7FE0  # of pixel data; groups above it hold padding and signatures
_ACR_NEMA_DATE = re.compile(r"(\d{4})\.(\d\d)\.(\d\d)")  # before DICOM 3


@dataclass(frozen=True, slots=True, eq=False)
class FilmHeader:
    """A film's header in two parts; objects are built from the first, which has no names."""

    film: Dataset
    """UIDs, size and display; the attributes of patient and study are empty."""

    patient: Dataset
    """Patient, study and request; valid values, empty (None) where unknown."""

    def add_patient_to(self, result: Dataset) -> Dataset:
        """Add the film's patient and study to `result`, in place, and return it."""
        result.pop("SpecificCharacterSet", None)
        correct_ambiguous_vr(result, True)  # pydicom does so only for elements that it converts
        result.update(for_result(result, self.patient, study=self.film.StudyInstanceUID))
        with quietly():
            keep_bytes(result)
        return result

    def to_bytes(self) -> bytes:
        """Both parts, for another process; `from_bytes` reads them.

        Raises:
            UnreadableFilm: a value has characters that its attribute cannot hold.
        """
        with decoding("DICOM", quote=False):
            film, patient = (_written(part) for part in (self.film, self.patient))
        return len(film).to_bytes(_LENGTH_BYTES) + film + patient

    @classmethod
    def from_bytes(cls, content: bytes) -> FilmHeader:
        """Read what `to_bytes` wrote; empty values are None, as in the original header."""
        length = int.from_bytes(content[:_LENGTH_BYTES])
        film, patient = content[_LENGTH_BYTES:][:length], content[_LENGTH_BYTES:][length:]
        with quietly():
            return cls(_read_back(film), _read_back_raw(patient))


_LENGTH_BYTES = 4  # size of the number that precedes a header's first part


def _written(part: Dataset) -> bytes:
    file = BytesIO()
    keep_bytes(part)
    dcmwrite(file, part, implicit_vr=False, little_endian=True)
    return file.getvalue()


def _read_back(content: bytes) -> Dataset:
    part, written = Dataset(), dcmread(BytesIO(content), force=True)
    for element in written:
        part.add_new(element.tag, element.VR, None if element.is_empty else element.value)
    return part


def _read_back_raw(content: bytes) -> Dataset:
    """As `_read_back`, but text stays the bytes of the file."""
    part, written = Dataset(), dcmread(BytesIO(content), force=True)
    for tag in list(written.keys()):
        element: Any = written.get_item(tag)
        if isinstance(element, RawDataElement) and not is_blank(element.value):
            part[tag] = element
        else:
            read = written[tag]
            part.add_new(tag, read.VR, None if read.is_empty else read.value)
    return part


def film_header(source: FilmHeader | Dataset | bytes | Path | str) -> FilmHeader:
    """Make the header of a film from its valid values; its pixels are not read.

    A `FilmHeader` is returned unchanged. Unknown values are empty (None) if the standard requires
    the attribute, and absent if it does not. Text is kept unchanged, with the film's character set.
    The frame of reference is left out: a projection has no position in one.

    Raises:
        UnreadableFilm: the source cannot be opened, or is damaged.
        UnsuitableFilm: the source is not DICOM, or lacks a UID that a result needs.
    """
    if isinstance(source, FilmHeader):
        return source
    dataset = source if isinstance(source, Dataset) else _read(source)
    with decoding("DICOM", quote=False):
        return FilmHeader(_film(dataset), _patient(dataset))


def film_uid(dataset: Dataset) -> str | None:
    """The film's SOPInstanceUID; None if it has none that results can refer to."""
    uid = lenient_text(dataset, "SOPInstanceUID")
    return uid if _UID.fullmatch(uid) else None


def header_elements(dataset: Dataset) -> Dataset:
    """Copy the elements of a parsed film, without pixels and private ones, not converted yet.

    pydicom converts a value at its first use, and may warn. Use of the copy does not convert the
    elements of `dataset`.
    """
    elements = Dataset()
    elements.update({tag: raw for tag, raw in dataset.items() if not _is_left_out(tag)})
    implicit, little = dataset.original_encoding
    elements.set_original_encoding(implicit, little, dataset.original_character_set)
    elements.file_meta = dataset.file_meta
    return elements


def _is_left_out(tag: BaseTag) -> bool:
    return tag.is_private or tag.group >= _PIXELS_GROUP


def check_is_dicom(content: bytes) -> None:
    """Raise `UnsuitableFilm` unless the first bytes are those of a DICOM file."""
    if not is_dicom(content[:1024]):
        raise UnsuitableFilm(NOT_DICOM)


def _film(dataset: Dataset) -> Dataset:
    film = Dataset()
    for keyword in NEEDED:
        setattr(film, keyword, _uid(dataset, keyword))
    for keyword in EMPTY_IF_UNKNOWN:
        setattr(film, keyword, None)
    film.Rows, film.Columns = int(dataset.Rows), int(dataset.Columns)
    film.Modality = checked_text(dataset, "Modality") or "OT"
    film.PatientOrientation = [direction for direction in orientation(dataset) if direction] or None
    film.SamplesPerPixel = int(dataset.get("SamplesPerPixel", 1))
    photometric = checked_text(dataset, "PhotometricInterpretation")
    film.PhotometricInterpretation = photometric or "MONOCHROME2"
    spacing = pair(dataset, "PixelSpacing")
    if spacing is not None:
        film.PixelSpacing = [DS(side, auto_format=True) for side in spacing]
    burnt_in = lenient_text(dataset, "BurnedInAnnotation")
    if burnt_in in ("YES", "NO"):
        film.BurnedInAnnotation = burnt_in
    lossy = lenient_text(dataset, "LossyImageCompression")
    film.LossyImageCompression = lossy if lossy in ("00", "01") else "00"
    _copy_valid(dataset, film, ("LossyImageCompressionRatio", "LossyImageCompressionMethod"))
    add_display(dataset, film)
    return film


def _patient(dataset: Dataset) -> Dataset:
    """Patient and study. Text stays as the bytes in the file, in the film's own character set.

    A value may hold several names, be longer than the standard allows, or be in a character set
    that the file does not declare: the archive knows the patient by these bytes.
    """
    patient = Dataset()
    for keyword in EMPTY_IF_UNKNOWN:
        setattr(patient, keyword, None)
    texts = [keyword for keyword in _PATIENT if dictionary_VR(keyword) in _TEXTS]
    raw = all(
        isinstance(dataset.get_item(name), RawDataElement) for name in texts if name in dataset
    )
    _copy_valid(dataset, patient, (name for name in _PATIENT if not raw or name not in texts))
    if patient.PatientSex not in SEXES:
        patient.PatientSex = None
    if raw:
        copy_bytes(dataset, patient, ("SpecificCharacterSet", *texts))
    elif not all(str(element.value).isascii() for element in patient):
        patient.SpecificCharacterSet = "ISO_IR 192"
    add_request(dataset, patient)
    return patient


def missing_in(header: FilmHeader, dataset: Dataset) -> list[str]:
    """Attributes that identify patient and study, and that results of the film cannot repeat."""
    return [
        keyword
        for keyword in (*EMPTY_IF_UNKNOWN, "StudyDescription", "IssuerOfPatientID")
        if not is_blank(raw_value(dataset, keyword))
        and is_blank(raw_value(header.patient, keyword))
    ]


def _copy_valid(dataset: Dataset, into: Dataset, keywords: Iterable[str]) -> None:
    """Copy the valid values of `keywords`."""
    for keyword in keywords:
        value = _valid(dataset, keyword)
        if value is not None:
            setattr(into, keyword, value)


def _read(source: bytes | Path | str) -> Dataset:
    data = _bytes(source)
    check_is_dicom(data)
    with decoding("DICOM", quote=False):
        return parse_dicom(BytesIO(data), stop_before_pixels=True)


def _bytes(source: bytes | Path | str) -> bytes:
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    try:
        return Path(source).read_bytes()
    except OSError as error:
        raise UnreadableFilm(
            f"cannot open {source}: {error.strerror or error}; check the name and the permissions"
        ) from error


def _uid(dataset: Dataset, keyword: str) -> UID:
    uid = checked_text(dataset, keyword)
    if not _UID.fullmatch(uid):
        raise UnsuitableFilm(
            f"the DICOM film has no valid {keyword}, which DICOM results need to refer to it; "
            "export it again from the archive, or ask for other formats"
        )
    return UID(uid, validation_mode=config.IGNORE)


def _valid(dataset: Dataset, keyword: str) -> Any:
    """The value if it is valid for the attribute, else None."""
    value: Any = None
    with suppress(ValueError, TypeError, AttributeError):  # damaged bytes
        value = dataset.get(keyword)
    vr = dictionary_VR(keyword)
    if value is None or not str(value).strip():
        return None
    text = value if isinstance(value, PersonName) else str(value).strip()
    if vr == "DA":
        text = _ACR_NEMA_DATE.sub(r"\1\2\3", str(text))
    try:
        validate_value(vr, str(text), config.RAISE)
    except ValueError:
        return None
    return text


FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
DEPTHS = range(8, 17)  # bits of an entry of a lookup table


def add_display(dataset: Dataset, film: Dataset) -> None:
    """Add to `film` the modality LUT, the window and the VOI LUT of `dataset`, if valid."""
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    tables = _tables(dataset, "ModalityLUTSequence")
    if tables:
        tables[0].ModalityLUTType = "US"  # unspecified
        film.ModalityLUTSequence = tables[:1]
    elif slope and intercept is not None:
        film.RescaleSlope, film.RescaleIntercept = _ds(slope), _ds(intercept)
        film.RescaleType = "US"
    _add_windows(dataset, film)
    tables = _tables(dataset, "VOILUTSequence")
    if tables:
        film.VOILUTSequence = tables


def _add_windows(dataset: Dataset, film: Dataset) -> None:
    """Copy the first window, which is also the one that Pleura applies."""
    centre, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    if centre is None or width is None or width < 1:
        return
    film.WindowCenter, film.WindowWidth = _ds(centre), _ds(width)
    function = lenient_text(dataset, "VOILUTFunction")
    if function in FUNCTIONS:
        film.VOILUTFunction = function


def _tables(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Copy the valid items of a LUT sequence, in little endian."""
    items = dataset.get(keyword)
    copies = (_table_item(item, dataset) for item in (items if isinstance(items, Sequence) else ()))
    return [item for item in copies if item is not None]


def _table_item(item: Dataset, dataset: Dataset) -> Dataset | None:
    descriptor: Any = item.get("LUTDescriptor")
    if not isinstance(descriptor, MultiValue) or len(descriptor) != 3 or "LUTData" not in item:
        return None
    entries, first, depth = (int(number) for number in descriptor)
    big = not dataset.file_meta.TransferSyntaxUID.is_little_endian
    table = lut_table(item, entries or 2**16, big_endian=big, depth=depth)
    if len(table) != (entries or 2**16) or depth not in DEPTHS or table.max() >= 2**depth:
        return None
    if table.min() == table.max():  # it would make every pixel equal
        return None
    copy = Dataset()
    copy.add_new("LUTDescriptor", "SS" if first < 0 else "US", [entries, first, depth])
    copy.add_new("LUTData", "OW", table.astype("<u2").tobytes())
    return copy


def _ds(value: float) -> Any:
    return DS(value, auto_format=True)
