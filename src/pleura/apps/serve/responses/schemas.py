"""JSON schemas of the classes whose values the service answers with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import TypeAdapter

__all__ = ["nullable", "schema_of"]


def schema_of(dataclass_type: type, *, without: Collection[str] = ()) -> dict[str, Any]:
    """The JSON schema of a dataclass as `asdict` gives it, with no reference and no title.

    Every field but those in `without` is required.
    """
    schema = TypeAdapter(dataclass_type).json_schema(mode="serialization")
    plain: dict[str, Any] = _plain(schema, schema.get("$defs", {}))
    for name in without:
        plain["properties"].pop(name)
    plain["required"] = list(plain["properties"])
    return plain


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of the same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def _plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema with its references resolved, and without titles, defaults and definitions."""
    if isinstance(schema, list):
        return [_plain(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    out: dict[str, Any] = {}
    for name, part in schema.items():
        if name == "properties":
            out[name] = {key: _plain(value, definitions) for key, value in part.items()}
        elif name == "description":
            out[name] = part.partition("\n\n")[0].replace("\n", " ")
        elif name not in ("title", "default", "$defs"):
            out[name] = _plain(part, definitions)
    if out.get("type") == "object" and "properties" in out:
        out["required"] = list(out["properties"])
    return out
