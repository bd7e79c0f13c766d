"""One film: from its bytes to what is told of it. Blocking; runs on the service's threads."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from pleura.core.arrays import Definition
from pleura.core.types import Quality, Segmentation
from pleura.io.dicom.formats import DICOM_FORMATS
from pleura.io.dicom.results import dicom_bytes, dicom_results
from pleura.io.dicom.source import check_is_dicom
from pleura.io.film import DecodedFilm, ReadOptions
from pleura.io.outputs import PICTURES, run_lengths
from pleura.io.read import read_film
from pleura.io.run.row import Row, done_row, failed_row
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter, redefine

__all__ = ["FILES", "INCLUDES", "Include", "Payload", "Told", "Wish", "answer_film", "no_row"]

Include = Literal["rle", "mask", "labels", "overlay", "film", "row"]
INCLUDES: tuple[Include, ...] = get_args(Include)
"""What a JSON answer may hold besides the measurements."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request wants to know of its films."""

    definitions: tuple[Definition, ...] = ("field",)
    include: frozenset[str] = frozenset({"rle"})
    kind: str = "json"
    """`json`, `csv`, or one of `FILES`."""

    photographs: bool = False
    """Colour photographs of films are segmented too."""

    @property
    def needs_header(self) -> bool:
        """Whether films are read with their DICOM header: to write results, or to name them."""
        return self.kind == "json" or self.kind in DICOM_FORMATS


FILES = (*PICTURES, *DICOM_FORMATS)
"""What a film can be answered with besides JSON and its lines of the table."""

Payload = dict[str, Any] | bytes | list[Row]
"""Of one film: what JSON says of it, a file of `FILES`, or its lines of the table."""


@dataclass(frozen=True, slots=True)
class Told:
    """The answer on one film."""

    payload: Payload
    quality: Quality
    """By the first definition asked for."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """The lungs of one film, by each definition that was asked for."""

    name: str
    found: dict[Definition, Segmentation]
    decoded: DecodedFilm

    @property
    def first(self) -> Segmentation:
        """By the first definition asked for; pictures are of this one."""
        return next(iter(self.found.values()))


def answer_film(
    content: bytes, engine: Engine, wish: Wish, *, name: str = "", most_pixels: int
) -> Told:
    """Decode and segment a film; the network is asked once, whatever the number of definitions.

    `name` is only ever given back.

    Raises:
        UnreadableFilm: no image, or damaged.
        UnsuitableFilm: an image with nothing to segment in it, or over `most_pixels`; or a DICOM
            result asked for of a film that is no DICOM.
        UsageError: the weights do not give a definition.
    """
    if wish.kind in DICOM_FORMATS:
        check_is_dicom(content)  # before work is done
    first, *others = wish.definitions
    options = ReadOptions(
        most_pixels=most_pixels, photographs=wish.photographs, header=wish.needs_header
    )
    decoded = read_film(content, options)
    if wish.kind in DICOM_FORMATS:
        decoded.dicom_header()  # raises where no result could refer to the film
    found = Segmenter(engine, definition=first)(decoded.radiograph)
    by_definition = {first: found, **{each: redefine(found, each, engine.card) for each in others}}
    film = _Answered(name, by_definition, decoded)
    return Told(_payload(film, wish), film.first.quality)


def _payload(film: _Answered, wish: Wish) -> Payload:
    if wish.kind == "json":
        return _told(film, wish.include)
    if wish.kind == "csv":
        return [_row(film, definition) for definition in film.found]
    if wish.kind in DICOM_FORMATS:
        return dicom_bytes(dicom_results(film.decoded.dicom_header(), film.first, [wish.kind])[0])
    return PICTURES[wish.kind](film.first)


def _told(answered: _Answered, include: Iterable[str]) -> dict[str, Any]:
    """What a JSON answer says of one film; pictures are PNG files in base64."""
    film, wanted = answered.first.radiograph, set(include)
    height, width = film.size
    result: dict[str, Any] = {
        "film": answered.name,
        "status": "done",
        "height": height,
        "width": width,
        "view": film.view,
        "spacing": None if film.spacing is None else asdict(film.spacing),
        "notes": list(film.notes),
        "formats": list(PICTURES if answered.decoded.header is None else FILES),
        "provenance": _provenance(answered.first),
        "lungs": {name: _lungs(answered, name, wanted) for name in answered.found},
    }
    if "film" in wanted:
        result["film_png"] = _base64(PICTURES["film"](answered.first))
    return result


def no_row(name: str, error: str) -> Row:
    """The table's line of a film that failed."""
    return failed_row(_stem(name), path=PurePosixPath(name), error=error)


def _lungs(answered: _Answered, definition: Definition, wanted: set[str]) -> dict[str, Any]:
    found = answered.found[definition]
    masks = {"right": found.right, "left": found.left, "heart": found.heart}
    lungs: dict[str, Any] = {
        "quality": asdict(found.quality),
        "measurements": asdict(found.measurements),
        "notes": list(found.lungs.notes),
    }
    if "rle" in wanted:
        lungs["rle"] = {n: None if mask is None else run_lengths(mask) for n, mask in masks.items()}
    for name in ("mask", "labels", "overlay"):
        if name in wanted:
            lungs[f"{name}_png"] = _base64(PICTURES[name](found))
    if "row" in wanted:
        lungs["row"] = asdict(_row(answered, definition))
    return lungs


def _provenance(found: Segmentation) -> dict[str, Any]:
    """What made it; by which definition, the key of the lungs says."""
    return {name: value for name, value in asdict(found.provenance).items() if name != "definition"}


def _row(answered: _Answered, definition: Definition) -> Row:
    path = PurePosixPath(answered.name)
    return done_row(answered.found[definition], _stem(answered.name), path=path)


def _stem(name: str) -> PurePosixPath:
    """The film's name without its suffix, as the command line calls its results."""
    return PurePosixPath(PurePosixPath(name).stem or "film")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
