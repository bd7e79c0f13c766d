"""Segmenting one uploaded film and building its response content: JSON, table rows or a file.

The functions block; the service calls them on its worker threads.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from pleura.apps.serve.requests.corrections import Correction, corrected, widths_json
from pleura.core.arrays import Definition
from pleura.core.errors import UnsuitableFilm
from pleura.core.types import Quality, Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.source import check_is_dicom
from pleura.io.film import DecodedFilm, ReadOptions
from pleura.io.images.write.png import grey_values
from pleura.io.outputs import FORMATS, film_png, output_bytes, run_lengths
from pleura.io.read import read_film
from pleura.io.run.naming import split_suffix
from pleura.io.run.row import Row, done_row, failed_row
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter, with_definition

__all__ = [
    "FILE_FORMATS",
    "INCLUDES",
    "Content",
    "FilmFiles",
    "FilmResponse",
    "Include",
    "Outcome",
    "ResponseOptions",
    "failed_film_row",
    "segment_upload",
]

Include = Literal["rle", "mask", "labels", "overlay", "film", "values", "row"]
INCLUDES: tuple[Include, ...] = get_args(Include)
"""The parts of the JSON besides the measurements."""


@dataclass(frozen=True, slots=True)
class ResponseOptions:
    """The parameters of a request, the same for each of its films."""

    definitions: tuple[Definition, ...] = ("field",)
    include: frozenset[str] = frozenset({"rle"})
    format: str = "json"
    """`json`, `ndjson`, `csv`, `zip`, or one of `FILE_FORMATS`."""

    files: tuple[str, ...] = ()
    """The formats in the zip file, as the command line has them; empty for the usual ones."""

    flip: bool = False
    """Whether films are mirrored left to right before they are segmented."""

    correction: Correction | None = None
    """The masks by which the first definition's are replaced."""

    photographs: bool = False
    """Whether colour photographs of films are segmented."""

    @property
    def needs_header(self) -> bool:
        """Whether films are read with their DICOM header: DICOM results and JSON need it."""
        return self.format in ("json", "ndjson", "zip") or self.format in DICOM_FORMATS


FILE_FORMATS = ("film", *(name for name, form in FORMATS.items() if len(form.writers) == 1))
"""The formats of one film that are one file: the film as displayed, and the command line's."""

_USUAL_FILES = ("mask", "overlay")
"""The formats in a zip file unless others are named; DICOM films have `dicom-seg` too."""


@dataclass(frozen=True, slots=True)
class FilmFiles:
    """The part of a zip file that is of one film."""

    files: dict[str, bytes]
    """The content of each file by its ending."""

    row: Row
    """The row of the table; the names of the results follow from all films of the request."""


Content = dict[str, Any] | bytes | list[Row] | FilmFiles
"""The content for one film: JSON, the bytes of a file, its rows of the table, or its files."""


@dataclass(frozen=True, slots=True)
class FilmResponse:
    """The response content of one film."""

    content: Content
    quality: Quality
    """By the first requested definition."""


Outcome = FilmResponse | Exception
"""The outcome of one film: its response content, or the error that it failed with."""


@dataclass(frozen=True, slots=True)
class _SegmentedFilm:
    """The lungs of one film by each requested definition."""

    name: str
    lungs: dict[Definition, Segmentation]
    decoded: DecodedFilm

    @property
    def first(self) -> Segmentation:
        """By the first requested definition; pictures are of this one."""
        return next(iter(self.lungs.values()))


def segment_upload(
    content: bytes, engine: Engine, options: ResponseOptions, *, name: str = "", max_pixels: int
) -> FilmResponse:
    """Decode and segment a film. The network runs once, whatever the number of definitions.

    `name` is the client's name of the film; it is only repeated in the response.

    Raises:
        UnreadableFilm: no image, or damaged.
        UnsuitableFilm: an image that cannot be segmented or has more than `max_pixels`; or a DICOM
            result was requested of a film that is not DICOM, or a crop of a film without lungs.
        UsageError: the weights do not give a definition.
    """
    if options.format in DICOM_FORMATS:
        check_is_dicom(content)  # before work is done
    first, *others = options.definitions
    reading = ReadOptions(
        most_pixels=max_pixels, photographs=options.photographs, header=options.needs_header
    )
    decoded = read_film(content, reading)
    if options.format in DICOM_FORMATS:
        decoded.dicom_header()  # raises if no result can refer to the film
    lungs = Segmenter(engine, definition=first, flip=options.flip)(decoded.radiograph)
    by_definition = {
        first: lungs if options.correction is None else corrected(lungs, options.correction),
        **{other: with_definition(lungs, other, engine.card) for other in others},
    }
    film = _SegmentedFilm(name, by_definition, decoded)
    return FilmResponse(_content(film, options), film.first.quality)


def failed_film_row(name: str, error: str) -> Row:
    """The table row of a film that failed."""
    return failed_row(_stem(name), path=PurePosixPath(name), error=error)


def _content(film: _SegmentedFilm, options: ResponseOptions) -> Content:
    if options.format in ("json", "ndjson"):
        return _json(film, options.include)
    if options.format == "csv":
        return [_row(film, definition) for definition in film.lungs]
    if options.format == "zip":
        return _film_files(film, options.files)
    return _file(film, options.format)


def _file(film: _SegmentedFilm, name: str) -> bytes:
    """The one file of a format."""
    if name == "film":
        return film_png(film.first.radiograph)
    header = film.decoded.dicom_header() if name in DICOM_FORMATS else None
    files = output_bytes(film.first, [name], name=_file_name(film.name), header=header)
    if not files:
        raise UnsuitableFilm("no lung was found, so the film has no crop; ask for another format")
    return next(iter(files.values()))


def _film_files(film: _SegmentedFilm, formats: tuple[str, ...]) -> FilmFiles:
    """The files of a film as the command line writes them, and its row."""
    has_header = film.decoded.header is not None
    wanted = formats or (*_USUAL_FILES, *(("dicom-seg",) if has_header else ()))
    needs_header = any(name in DICOM_FORMATS for name in wanted)
    header = film.decoded.dicom_header() if needs_header else None
    files = output_bytes(film.first, wanted, name=_file_name(film.name), header=header)
    return FilmFiles(files, done_row(film.first, _stem(film.name), path=PurePosixPath(film.name)))


def _json(film: _SegmentedFilm, include: Iterable[str]) -> dict[str, Any]:
    """The JSON of one film; pictures are PNG files in base64."""
    radiograph, included = film.first.radiograph, set(include)
    height, width = radiograph.size
    result: dict[str, Any] = {
        "film": film.name,
        "status": "done",
        "height": height,
        "width": width,
        "view": radiograph.view,
        "mirrored": radiograph.mirrored,
        "spacing": None if radiograph.spacing is None else asdict(radiograph.spacing),
        "notes": list(radiograph.notes),
        "formats": [
            name
            for name in FILE_FORMATS
            if film.decoded.header is not None or name not in DICOM_FORMATS
        ],
        "provenance": _provenance(film.first),
        "lungs": {definition: _lungs_json(film, definition, included) for definition in film.lungs},
    }
    if "values" in included:
        values = asdict(grey_values(radiograph.pixels))
        result["values"] = {**values, "png": _base64(values["png"])}
    if "film" in included:
        result["film_png"] = _base64(film_png(film.first.radiograph))
    return result


def _lungs_json(film: _SegmentedFilm, definition: Definition, included: set[str]) -> dict[str, Any]:
    lungs = film.lungs[definition]
    masks = {"right": lungs.right, "left": lungs.left, "heart": lungs.heart}
    result: dict[str, Any] = {
        "quality": asdict(lungs.quality),
        "measurements": asdict(lungs.measurements),
        "widths": widths_json(lungs.right, lungs.left, lungs.heart)
        if lungs.quality.gives_ratio
        else None,
        "notes": list(lungs.lungs.notes),
    }
    if "rle" in included:
        result["rle"] = {
            name: None if mask is None else run_lengths(mask) for name, mask in masks.items()
        }
    for picture in ("mask", "labels", "overlay"):
        if picture in included:
            (content,) = output_bytes(lungs, [picture], name="").values()
            result[f"{picture}_png"] = _base64(content)
    if "row" in included:
        result["row"] = asdict(_row(film, definition))
    return result


def _provenance(lungs: Segmentation) -> dict[str, Any]:
    """The provenance without the definition, which is the key of `lungs` in the JSON."""
    return {name: value for name, value in asdict(lungs.provenance).items() if name != "definition"}


def _row(film: _SegmentedFilm, definition: Definition) -> Row:
    path = PurePosixPath(film.name)
    return done_row(film.lungs[definition], _stem(film.name), path=path)


def _stem(name: str) -> PurePosixPath:
    """The film's name without its suffix, as the command line names its results."""
    return PurePosixPath(split_suffix(PurePosixPath(name).name)[0] or "film")


def _file_name(name: str) -> str:
    """The film's file name without folders."""
    return PurePosixPath(name).name or "film"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
