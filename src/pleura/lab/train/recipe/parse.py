"""Reading recipes: from a TOML file, or from the plain values in a checkpoint or a card."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UsageError
from pleura.lab.train.recipe.augment import Augment
from pleura.lab.train.recipe.recipe import Recipe
from pleura.lab.train.recipe.stage import Stage
from pleura.lab.train.recipe_files import find_recipe, shipped_recipes
from pleura.net.unetplusplus import Architecture

__all__ = ["load_recipe", "parse_recipe"]

NOUNS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def load_recipe(path: Path) -> Recipe:
    """Read a TOML file whose keys are the fields of `Recipe`, or the shipped one of that name."""
    path = find_recipe(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: no such recipe ({error.strerror}); give a TOML file, or the name of one that "
            f"ships: {', '.join(shipped_recipes())}"
        ) from error
    except ValueError as error:  # not TOML, or no text
        raise UsageError(f"{path}: not a TOML file: {error}") from error
    for key in EARLY:
        if key in table:
            raise UsageError(
                f"{path}: {key} is now a stage; write a table [[stages]] with epochs and side"
            )
    try:
        return parse_recipe({"name": path.stem, **table}, where=str(path))
    except UsageError as error:
        if str(path) in str(error):
            raise
        raise UsageError(f"{path}: {error}") from error  # the value of a key of known type


EARLY = ("early_side", "early_epochs")
"""Keys of older versions, in place of a first stage; checkpoints and cards still hold them."""


def parse_recipe(table: Mapping[str, Any], *, where: str = "recipe") -> Recipe:
    """A recipe from plain values, as in a TOML file or a card."""
    values = _with_stages(table)
    tables = {name: values.pop(name, {}) for name in ("network", "augment")}
    for name, content in tables.items():
        if not isinstance(content, Mapping):
            raise UsageError(f"{where}: {name} must be a table [{name}], got {content!r}")
    stages = values.pop("stages", ())
    chosen = _checked(Recipe, values, where)
    if "name" not in chosen:
        raise UsageError(f"{where}: name is missing; it names the weights")
    network = {"channels_out": len(chosen.get("channels", ("field",))) or 1, **tables["network"]}
    return Recipe(
        **chosen,
        stages=_stages(stages, tables["augment"], where),
        network=Architecture(**_checked(Architecture, network, f"{where} [network]")),
        augment=Augment(**_checked(Augment, tables["augment"], f"{where} [augment]")),
    )


def _with_stages(table: Mapping[str, Any]) -> dict[str, Any]:
    """The values, with a stage in place of the keys `EARLY`."""
    values = dict(table)
    side, epochs = (values.pop(key, 0) for key in EARLY)
    if epochs:
        values["stages"] = [{"epochs": epochs, "side": side}]
    return values


def _stages(given: Any, augment: Mapping[str, Any], where: str) -> tuple[Stage, ...]:
    """The stages; `augment` has the values that a stage's own table does not name."""
    if not isinstance(given, list | tuple) or not all(isinstance(one, Mapping) for one in given):
        raise UsageError(f"{where}: stages must be tables [[stages]], got {given!r}")
    return tuple(
        _stage(dict(table), augment, f"{where} [[stages]] {number}")
        for number, table in enumerate(given, 1)
    )


def _stage(table: dict[str, Any], augment: Mapping[str, Any], where: str) -> Stage:
    own = table.pop("augment", None)
    if own is not None and not isinstance(own, Mapping):
        raise UsageError(f"{where}: augment must be a table [stages.augment], got {own!r}")
    values = _checked(Stage, table, where)
    if "epochs" not in values:
        raise UsageError(f"{where}: epochs is missing; it is the length of the stage")
    if own is not None:
        values["augment"] = Augment(**_checked(Augment, {**augment, **own}, f"{where} augment"))
    return Stage(**values)


def _checked(kind: type, table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of a table, every key known and every value of its field's type."""
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise UsageError(f"{where}: unknown key {key!r}; {_remedy(key, list(hints))}")
    return {key: typed(value, hints[key], f"{where}: {key}") for key, value in table.items()}


def _remedy(key: str, known: list[str]) -> str:
    for kind, place in (
        (Recipe, "above all tables"),
        (Architecture, "in [network]"),
        (Augment, "in [augment]"),
    ):
        if key in (setting.name for setting in fields(kind)):
            return f"it belongs {place}"
    return did_you_mean(key, known)


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
