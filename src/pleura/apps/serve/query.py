"""Query parameters: what an address does not take is refused, not left aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request

from pleura.apps.serve.answers import FILES, Include, Wish
from pleura.apps.serve.problems import NotOffered
from pleura.core.arrays import Definition
from pleura.core.card import Card
from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UsageError
from pleura.core.masks.cleanup import check_definition

__all__ = ["KINDS", "check_query", "parameters", "wish_of"]


async def check_query(request: Request) -> None:
    """Compare the names in a request's query with those that the OpenAPI description has.

    Raises:
        UsageError: a parameter is unknown, empty, or given more than once though it has one value.
    """
    taken = _taken(request)
    query = request.query_params
    for name in query:
        if name not in taken:
            raise UsageError(f"there is no parameter {name!r}{_instead(name, taken)}")
        values = query.getlist(name)
        if "" in values:
            raise UsageError(f"the parameter {name} is empty; give it a value, or leave it out")
        if len(values) > 1 and not taken[name]:
            raise UsageError(f"the parameter {name} is given {len(values)} times; give it once")


def _taken(request: Request) -> dict[str, bool]:
    """The parameters of the request's address, and whether each may be repeated."""
    paths = request.app.openapi()["paths"]
    described = paths.get(request.scope["route"].path, {}).get(request.method.lower(), {})
    return {
        parameter["name"]: _is_list(parameter["schema"])
        for parameter in described.get("parameters", ())
        if parameter["in"] == "query"
    }


def _is_list(schema: dict[str, Any]) -> bool:
    return any(kind.get("type") == "array" for kind in (schema, *schema.get("anyOf", ())))


def _instead(name: str, taken: dict[str, bool]) -> str:
    return f"; {did_you_mean(name, taken)}" if taken else "; this address takes none"


KINDS = ("json", "csv", *FILES)
"""What `format` may be."""

_BY_MEDIA_TYPE = {  # the first that matches is taken, so JSON is what `*/*` gives
    "application/json": "json",
    "image/png": "mask",
    "text/csv": "csv",
    "application/dicom": "dicom-seg",
}


def parameters(
    lungs: Annotated[
        Literal["field", "whole", "all"],
        Query(
            description="Which definition of lung; `all` for each that the weights give. "
            "Pictures are of the first."
        ),
    ] = "field",
    format: Annotated[  # noqa: A002
        str | None,
        Query(
            description="What is answered; takes the place of `Accept`. All but `json` and `csv` "
            "are files of one film: DICOM for a DICOM film, the others PNG.",
            json_schema_extra={"enum": list(KINDS)},
        ),
    ] = None,
    include: Annotated[
        list[Include] | None,
        Query(
            description="What JSON holds besides measurements; repeatable. `rle` if not given: "
            "masks as COCO run lengths. Pictures are PNG in base64; `row` is the line of the "
            "table."
        ),
    ] = None,
    force: Annotated[
        bool, Query(description="Segment colour photographs of films too, with a note.")
    ] = False,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> tuple[str, Wish]:
    """The definition asked for, and the wish but for its definitions.

    Raises:
        UsageError: there is no such format.
        NotOffered: none of the media types that the client accepts.
    """
    kind = _kind_of(accept) if format is None else _checked(format)
    wanted = frozenset(("rle",) if include is None else include)
    return lungs, Wish((), wanted, kind, photographs=force)


def wish_of(asked: tuple[str, Wish], card: Card) -> Wish:
    """The wish, with definitions that the weights have.

    Raises:
        UsageError: they do not have the one asked for.
    """
    lungs, wish = asked
    definitions: Iterable[Definition] = card.definitions
    if lungs != "all":
        definitions = [each for each in ("field", "whole") if each == lungs]
    for each in definitions:
        check_definition(card.channels, each)
    return replace(wish, definitions=tuple(definitions))


def _checked(kind: str) -> str:
    if kind in KINDS:
        return kind
    raise UsageError(f"there is no format {kind!r}; {did_you_mean(kind, KINDS)}")


def _kind_of(accept: str) -> str:
    """What to answer a client that accepts so much, best first."""
    for pattern in sorted(accept.split(","), key=_quality, reverse=True):
        if _quality(pattern) == 0:
            continue
        wanted = pattern.partition(";")[0].strip().lower()
        for media_type, kind in _BY_MEDIA_TYPE.items():
            if wanted in ("*/*", media_type, f"{media_type.partition('/')[0]}/*"):
                return kind
    raise NotOffered(f"this service answers {', '.join(_BY_MEDIA_TYPE)}; name one in Accept")


def _quality(pattern: str) -> float:
    """The `q` of one part of an Accept header; a wrong one counts as 0."""
    for part in pattern.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
