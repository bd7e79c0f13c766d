"""Writing a result in any of the output formats. A new format is an entry in `FORMATS`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from PIL import Image

from pleura.core.arrays import Mask
from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UsageError
from pleura.core.masks.contours import rle
from pleura.core.masks.overlay import display
from pleura.core.types import Radiograph, Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.files.atomic import atomic_write
from pleura.io.images.write.coco import ENDING as COCO_ENDING
from pleura.io.images.write.coco import write_coco
from pleura.io.images.write.masks import labels_png, mask_png, write_nifti, write_npy
from pleura.io.images.write.overlay import (
    crop_box,
    write_crop,
    write_overlay,
    write_overlay_jpeg,
)
from pleura.io.run.row import COLUMNS, Row

if TYPE_CHECKING:
    from pleura.io.dicom.source import FilmHeader  # which loads pydicom

__all__ = [
    "FORMATS",
    "Format",
    "Writer",
    "check_formats",
    "film_png",
    "output_bytes",
    "output_endings",
    "output_paths",
    "run_lengths",
    "table_csv",
    "write_outputs",
]


Writer: TypeAlias = Callable[[Segmentation, IO[bytes]], None]
"""Writes one file of a result."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a result."""

    writers: Mapping[str, Writer | None]
    """By the ending of the file, which follows the film's stem. None for DICOM:
    `io.dicom.results` makes these together, as they refer to each other."""

    description: str
    """A few words for lists of formats."""

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings of its files."""
        return tuple(self.writers)


_ROWS = 256  # rows of a map that are compressed at a time


def _write_mask(segmentation: Segmentation, file: IO[bytes]) -> None:
    file.write(mask_png(segmentation.mask))


def _write_right(segmentation: Segmentation, file: IO[bytes]) -> None:
    file.write(mask_png(segmentation.right))


def _write_left(segmentation: Segmentation, file: IO[bytes]) -> None:
    file.write(mask_png(segmentation.left))


def _write_labels(segmentation: Segmentation, file: IO[bytes]) -> None:
    file.write(labels_png(segmentation))


def _write_probabilities(segmentation: Segmentation, file: IO[bytes]) -> None:
    with ZipFile(file, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("probabilities.npy", "w", force_zip64=True) as member:
            _write_maps(member, segmentation)
        with archive.open("channels.npy", "w") as member:
            np.lib.format.write_array(member, np.array(segmentation.channels))


def _write_maps(member: IO[bytes], segmentation: Segmentation) -> None:
    """Write the maps as a numpy array, (C, H, W) float16; one map at a time is in memory."""
    maps = segmentation.probabilities
    header = {"descr": "<f2", "fortran_order": False, "shape": tuple(maps.shape)}
    np.lib.format.write_array_header_1_0(member, header)
    for index in range(len(segmentation.channels)):
        channel = maps[index]
        for top in range(0, len(channel), _ROWS):
            member.write(channel[top : top + _ROWS].astype("<f2").tobytes())


FORMATS: dict[str, Format] = {
    "mask": Format({"_mask.png": _write_mask}, "both lungs, PNG of 0 and 255"),
    "overlay": Format({"_overlay.png": write_overlay}, "the film with the lungs coloured"),
    "overlay-jpeg": Format({"_overlay.jpg": write_overlay_jpeg}, "the same, smaller and sooner"),
    "split": Format({"_right.png": _write_right, "_left.png": _write_left}, "one PNG a lung"),
    "labels": Format({"_labels.png": _write_labels}, "PNG: 1 right, 2 left, 3 heart"),
    "npy": Format({"_labels.npy": write_npy}, "the labels as a numpy array"),
    "nifti": Format({"_labels.nii.gz": write_nifti}, "the labels as NIfTI"),
    "coco": Format({COCO_ENDING: partial(write_coco, name="")}, "COCO JSON, polygons and RLE"),
    "crop": Format({"_crop.png": write_crop}, "the film cut to the lungs, 5% margin"),
    "probabilities": Format(
        {"_probabilities.npz": _write_probabilities}, "the network's maps, 16-bit floats"
    ),
    **{
        name: Format({f"_{name.removeprefix('dicom-').replace('-', '_')}.dcm": None}, description)
        for name, description in DICOM_FORMATS.items()
    },
}
"""By name on the command line."""


def check_formats(formats: Iterable[str]) -> tuple[str, ...]:
    """The formats, each once, in the order of `FORMATS`; `UsageError` for an unknown one."""
    requested = set(formats)
    for name in sorted(requested - set(FORMATS)):
        raise UsageError(f"there is no format {name!r}; {did_you_mean(name, FORMATS)}")
    return tuple(name for name in FORMATS if name in requested)


def output_paths(stem: Path, formats: Iterable[str] = ("mask",)) -> list[Path]:
    """The files that `write_outputs` writes; a crop is written only if there are lungs."""
    return [stem.with_name(stem.name + ending) for ending in output_endings(formats)]


def output_endings(formats: Iterable[str]) -> tuple[str, ...]:
    """The endings of the files that `write_outputs` writes, which follow the film's stem."""
    names = check_formats(formats)
    return tuple(ending for name in names for ending in FORMATS[name].endings)


def write_outputs(
    segmentation: Segmentation,
    stem: Path,
    formats: Iterable[str] = ("mask",),
    *,
    film: Path | str | bytes | None = None,
    header: FilmHeader | None = None,
) -> list[Path]:
    """Write a result in each of the formats beside `stem`; returns the files.

    `stem` is a path without suffix: `out/film` gives `out/film_mask.png`. Missing folders
    are made. Each file is written atomically, in the order of `FORMATS`. DICOM formats need `film`,
    the DICOM file that was segmented, since they refer to it and belong to its study; it is not
    read again if its `header` is given. COCO files state the film's file name.

    Raises:
        UsageError: an unknown format, or a DICOM one without `film`, before anything is written.
        OutputError: a file cannot be written there.
        UnreadableFilm, UnsuitableFilm: `film` is not a DICOM film that a result can refer to;
            nothing is written.
    """
    name = Path(film).name if isinstance(film, Path | str) else Path(stem).name
    written = []
    for ending, write in _files(segmentation, formats, name=name, film=header or film):
        path = Path(stem).with_name(Path(stem).name + ending)
        with atomic_write(path) as file:
            write(file)
        written.append(path)
    return written


def output_bytes(
    segmentation: Segmentation,
    formats: Iterable[str],
    *,
    name: str,
    header: FilmHeader | None = None,
) -> dict[str, bytes]:
    """The files that `write_outputs` writes, by their endings, in memory.

    `name` is the film's file name, for COCO files; DICOM formats need the `header` of the film.

    Raises:
        UsageError: an unknown format, or a DICOM one without `header`.
    """
    files = {}
    for ending, write in _files(segmentation, formats, name=name, film=header):
        content = BytesIO()
        write(content)
        files[ending] = content.getvalue()
    return files


def _files(
    segmentation: Segmentation,
    formats: Iterable[str],
    *,
    name: str,
    film: FilmHeader | Path | str | bytes | None,
) -> list[tuple[str, Callable[[IO[bytes]], object]]]:
    """The ending of each file, and what writes it; a crop is written only if there are lungs."""
    names = check_formats(formats)
    dicom = _dicom_files(segmentation, [name for name in names if name in DICOM_FORMATS], film)
    files: list[tuple[str, Callable[[IO[bytes]], object]]] = []
    for format_name in names:
        if format_name == "crop" and crop_box(segmentation) is None:
            continue
        for ending, write in FORMATS[format_name].writers.items():
            if write is None:
                files.append((ending, partial(_write_bytes, data=dicom[format_name])))
            elif format_name == "coco":
                files.append((ending, partial(write_coco, segmentation, name=name)))
            else:
                files.append((ending, partial(write, segmentation)))
    return files


def _write_bytes(file: IO[bytes], *, data: bytes) -> None:
    file.write(data)


def _dicom_files(
    segmentation: Segmentation, names: list[str], film: FilmHeader | Path | str | bytes | None
) -> dict[str, bytes]:
    """The bytes of the DICOM files by format; empty if no DICOM format is requested."""
    if not names:
        return {}
    if film is None:
        raise UsageError(
            f"{names[0]} refers to the DICOM film that was segmented: give it as `film`, "
            "or ask for other formats"
        )
    from pleura.io.dicom.results import dicom_bytes, dicom_results  # imports pydicom

    results = dicom_results(film, segmentation, names)
    return {name: dicom_bytes(result) for name, result in zip(names, results, strict=True)}


def film_png(film: Radiograph) -> bytes:
    """The film as it is displayed, an 8-bit grey PNG at its native size."""
    stream = BytesIO()
    Image.fromarray(display(film.pixels)).save(stream, "PNG")
    return stream.getvalue()


def run_lengths(mask: Mask) -> dict[str, Any]:
    """COCO's uncompressed RLE of a mask: `size` (H, W), and `counts` down the columns, 0 first."""
    return {"size": [int(side) for side in mask.shape], "counts": rle(mask)}


def table_csv(rows: Iterable[Row]) -> str:
    """The text of `results.csv` with these rows, in the order given."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()
