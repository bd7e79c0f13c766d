"""Query parameters: what an address does not take is refused, not left aside."""

from __future__ import annotations

import difflib
from typing import Any

from fastapi import Request

from pleura.core.errors import UsageError

__all__ = ["check_query"]


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
    near = difflib.get_close_matches(name.lower(), taken, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; they are {', '.join(taken)}" if taken else "; this address takes none"
