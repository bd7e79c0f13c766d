"""Correcting a header whose samples per pixel or bits differ from the pixels themselves."""

from __future__ import annotations

from pydicom.dataset import Dataset

from pleura.core.errors import UnreadableFilm
from pleura.io.dicom.decode.codestream import Codestream, read_codestream
from pleura.io.dicom.decode.fragments import codestream_of
from pleura.io.dicom.header import checked_text, number

__all__ = ["check_stream", "correct_samples"]

_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "PALETTE COLOR")
_YCC_JPEG = b"\xff\xc0"  # the frame of baseline JPEG, whose colours are Y, Cb, Cr
_NO_TRANSFORM = b"Adobe"  # a segment that ends in 0 if the colours are R, G, B


def correct_samples(dataset: Dataset, notes: list[str]) -> bool:
    """Set the header to the samples of the pixels; True for colour pixels with a grey header.

    Such a film is read in colour, converted to grey, and then treated as its header states.
    """
    stated = int(number(dataset, "SamplesPerPixel") or 1)
    stream = read_codestream(codestream_of(dataset))
    if stream and stream.bits > int(number(dataset, "BitsAllocated") or 16):
        _set_bits(dataset, stream.bits)
        notes.append(
            f"the pixels have {stream.bits} bits, but the header says fewer; all were read"
        )
    actual = stream.components if stream else _native_samples(dataset, stated)
    grey = checked_text(dataset, "PhotometricInterpretation") not in _COLOURS
    if actual == 3 and grey:
        _set_colour(dataset, stream)
        notes.append(
            "the header says that the pixels are grey, but they are in colour; "
            "they were converted to grey"
        )
        return True
    if actual == 1 and stated == 3:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        notes.append(
            "the header says that the pixels are in colour, but they are grey; "
            "they were read as grey"
        )
    return False


def check_stream(dataset: Dataset) -> None:
    """Raise `UnreadableFilm` if the compressed pixels contradict the header of the film.

    A decoder may allocate memory for one size and write the other size into it.
    """
    stream = read_codestream(codestream_of(dataset))
    if stream is None:
        return
    stated = int(dataset.Rows), int(dataset.Columns), int(number(dataset, "SamplesPerPixel") or 1)
    actual = stream.rows, stream.columns, stream.components
    if stated != actual:
        raise UnreadableFilm(
            f"the header says {_described(*stated)}, the compressed pixels are "
            f"{_described(*actual)}; the file is damaged: export it again"
        )
    allocated = int(number(dataset, "BitsAllocated") or 8)
    if stream.bits > allocated:
        raise UnreadableFilm(
            f"the header says {allocated} bits a sample, the compressed pixels have "
            f"{stream.bits}; the file is damaged: export it again"
        )


def _described(rows: int, columns: int, components: int) -> str:
    return f"{columns} x {rows} pixels of {components} component{'s' if components != 1 else ''}"


def _set_colour(dataset: Dataset, stream: Codestream | None) -> None:
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PhotometricInterpretation = "RGB"
    if stream is None:
        return
    _set_bits(dataset, stream.bits)
    data = codestream_of(dataset)
    adobe = data.find(_NO_TRANSFORM, 0, 4096)
    if _YCC_JPEG in data[:65536] and not (adobe > 0 and data[adobe + 11 : adobe + 12] == b"\0"):
        dataset.PhotometricInterpretation = "YBR_FULL_422"


def _set_bits(dataset: Dataset, bits: int) -> None:
    dataset.BitsAllocated, dataset.BitsStored = (8 if bits <= 8 else 16), bits
    dataset.HighBit = bits - 1


def _native_samples(dataset: Dataset, stated: int) -> int:
    """Samples per pixel: 3 if the uncompressed pixels are 3 times as long as stated."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated or stated != 1:
        return stated
    plane = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    return 3 if len(dataset.PixelData) in (3 * plane, 3 * plane + plane % 2) else 1
