"""Query parameters of a request. Unknown, empty and repeated parameters are rejected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request

from pleura.apps.serve.errors import NotOffered
from pleura.apps.serve.responses.film_response import FILE_FORMATS, Include, ResponseOptions
from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UsageError
from pleura.core.masks.cleanup import check_definition
from pleura.io.outputs import FORMATS as ALL_FILES
from pleura.io.outputs import check_formats

__all__ = [
    "FORMATS",
    "FORMATS_OF_MANY",
    "QueryParameters",
    "check_query",
    "query_parameters",
    "response_options",
]


async def check_query(request: Request) -> None:
    """Compare the parameters of a request with the OpenAPI description of its route.

    Raises:
        UsageError: a parameter is unknown, empty, or given more than once though it has one value.
    """
    known = _known_parameters(request)
    query = request.query_params
    for name in query:
        if name not in known:
            raise UsageError(f"there is no parameter {name!r}{_hint(name, known)}")
        values = query.getlist(name)
        if "" in values:
            raise UsageError(f"the parameter {name} is empty; give it a value, or leave it out")
        if len(values) > 1 and not known[name]:
            raise UsageError(f"the parameter {name} is given {len(values)} times; give it once")


def _known_parameters(request: Request) -> dict[str, bool]:
    """The parameters of the request's route, and whether each may be repeated."""
    paths = request.app.openapi()["paths"]
    operation = paths.get(request.scope["route"].path, {}).get(request.method.lower(), {})
    return {
        parameter["name"]: _is_list(parameter["schema"])
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


def _is_list(schema: dict[str, Any]) -> bool:
    return any(option.get("type") == "array" for option in (schema, *schema.get("anyOf", ())))


def _hint(name: str, known: dict[str, bool]) -> str:
    """The end of the message about an unknown parameter."""
    return f"; {did_you_mean(name, known)}" if known else "; this address takes none"


MAX_NAME = 255
"""Letters of a film's name; file systems allow as many."""

FORMATS_OF_MANY = ("json", "csv", "ndjson", "zip")
"""The formats of several films together."""

FORMATS = (*FORMATS_OF_MANY, *FILE_FORMATS)
"""The values of the parameter `format`."""

_FORMAT_OF_MEDIA_TYPE = {  # the first match counts, so `*/*` gives JSON
    "application/json": "json",
    "image/png": "mask",
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/dicom": "dicom-seg",
    "application/zip": "zip",
}


@dataclass(frozen=True, slots=True)
class QueryParameters:
    """The parameters of `POST /v1/segmentations`, before they are compared with the weights."""

    lungs: str
    """A definition of lung, or `all`."""

    format: str
    include: frozenset[str]
    files: tuple[str, ...]
    """The formats in a zip file; empty for the usual ones."""

    flip: bool
    force: bool
    name: str
    """The name of a film that is the body; empty if it is not given."""


def query_parameters(
    lungs: Annotated[
        Literal["field", "whole", "all"],
        Query(
            description="The definition of lung; `all` for each that the weights give. "
            "Pictures show the first."
        ),
    ] = "field",
    format: Annotated[  # noqa: A002
        str | None,
        Query(
            description="The format of the answer; it overrides `Accept`. All but `json`, "
            "`csv`, `ndjson` and `zip` are files of one film, those that start with `dicom` of a "
            "DICOM film. `zip` holds what `pleura segment` writes: files of each film, results.csv "
            "and run.json.",
            json_schema_extra={"enum": list(FORMATS)},
        ),
    ] = None,
    include: Annotated[
        list[Include] | None,
        Query(
            description="What JSON holds besides measurements; repeatable. `rle` if not given: "
            "masks as COCO run lengths. Pictures are PNG in base64; `values` is the film in "
            "its own grey values, 8 or 16 bits; `row` is the row of the table."
        ),
    ] = None,
    files: Annotated[
        list[str] | None,
        Query(
            description="The formats in the zip file, as on the command line; repeatable. `mask`, "
            "`overlay` and, of a DICOM film, `dicom-seg` if not given. Only with `format=zip`.",
            json_schema_extra={"items": {"enum": list(ALL_FILES)}},
        ),
    ] = None,
    flip: Annotated[
        bool,
        Query(
            description="Mirror the film left to right before it is segmented: for a film that is "
            "stored mirrored. The results lie on the film as it was sent, and right is the "
            "patient's right."
        ),
    ] = False,
    force: Annotated[
        bool,
        Query(
            description="Segment colour photographs of films too, with a note, and films whose "
            "header names another body part."
        ),
    ] = False,
    name: Annotated[
        str,
        Query(
            max_length=MAX_NAME,
            description="The name of the film that is the body, such as `film.png`, for its "
            "results; a form names its films itself.",
        ),
    ] = "",
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> QueryParameters:
    """Read the parameters; FastAPI calls this for each request.

    Raises:
        UsageError: there is no such format, or the zip file cannot be made so.
        NotOffered: the client accepts none of the media types.
    """
    format_name = _accepted_format(accept) if format is None else _check_format(format)
    included = frozenset(("rle",) if include is None else include)
    in_zip = check_formats(files or ())
    _check_zip(format_name, in_zip, lungs)
    return QueryParameters(lungs, format_name, included, in_zip, flip=flip, force=force, name=name)


def response_options(parameters: QueryParameters, card: Card) -> ResponseOptions:
    """The options of the response, with the definitions of the weights that `card` describes.

    Raises:
        UsageError: the weights do not give the requested definition.
    """
    definitions: Iterable[Definition] = card.definitions
    if parameters.lungs != "all":
        definitions = [name for name in ("field", "whole") if name == parameters.lungs]
    for definition in definitions:
        check_definition(card.channels, definition)
    return ResponseOptions(
        tuple(definitions),
        parameters.include,
        parameters.format,
        parameters.files,
        flip=parameters.flip,
        photographs=parameters.force,
    )


def _check_format(name: str) -> str:
    if name in FORMATS:
        return name
    if name in ALL_FILES:
        raise UsageError(f"{name} is two files; ask for format=zip&files={name}")
    raise UsageError(f"there is no format {name!r}; {did_you_mean(name, FORMATS)}")


def _check_zip(format_name: str, files: tuple[str, ...], lungs: str) -> None:
    if files and format_name != "zip":
        raise UsageError(f"files names what a zip file holds, not a {format_name}; add format=zip")
    if format_name == "zip" and lungs == "all":
        raise UsageError(
            "a zip file holds the lungs by one definition; ask for lungs=field or lungs=whole"
        )


def _accepted_format(accept: str) -> str:
    """The format for an `Accept` header: that of the media type with the highest `q`."""
    for media_range in sorted(accept.split(","), key=_q_value, reverse=True):
        if _q_value(media_range) == 0:
            continue
        wanted = media_range.partition(";")[0].strip().lower()
        for media_type, name in _FORMAT_OF_MEDIA_TYPE.items():
            if wanted in ("*/*", media_type, f"{media_type.partition('/')[0]}/*"):
                return name
    raise NotOffered(_FORMAT_OF_MEDIA_TYPE)


def _q_value(media_range: str) -> float:
    """The `q` of one media range of an `Accept` header; an invalid one counts as 0."""
    for part in media_range.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
