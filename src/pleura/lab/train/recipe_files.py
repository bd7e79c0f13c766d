"""Recipe files: the shipped ones with their names and summaries, and the types of values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pleura.core.errors import UsageError

__all__ = ["find_recipe", "recipes_folder", "shipped_recipes", "typed"]

NOUNS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def recipes_folder() -> Path:
    """The folder of the recipes: inside an installed package, or at the root of a checkout."""
    inside = Path(__file__).with_name("recipes")
    return inside if inside.is_dir() else Path(__file__).parents[4] / "recipes"


def shipped_recipes() -> dict[str, str]:
    """The recipes by name, with the first sentence of the comment at their top."""
    return {path.stem: _first_sentence(path) for path in sorted(recipes_folder().glob("*.toml"))}


def find_recipe(given: Path) -> Path:
    """`given` if it is a file, else the shipped recipe of that name (`seed`, `ablation/unet`)."""
    named = recipes_folder() / given.with_name(f"{given.name}.toml")
    return named if not given.is_file() and not given.is_absolute() and named.is_file() else given


def _first_sentence(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    return comment.partition(". ")[0].rstrip(".")


def typed(value: Any, hint: Any, where: str) -> Any:
    """The value, if it is of the type; a list becomes a tuple, a whole number a float.

    Raises `UsageError` for one of another type; `where` names the key in the message.
    """
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            known = ", ".join(map(repr, get_args(hint)))
            raise UsageError(f"{where} must be one of {known}; got {value!r}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where} must be a list, got {value!r}")
        return tuple(typed(item, get_args(hint)[0], f"each of {where}") for item in value)
    if get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} must be a table, got {value!r}")
        inner = get_args(hint)[1]
        return {key: typed(item, inner, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:  # in Python a bool is an int, in a recipe it is not
        raise UsageError(f"{where} must be {NOUNS[hint]}, got {value!r}")
    return value
