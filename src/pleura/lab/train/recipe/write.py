"""A recipe as TOML, with a comment above each key that has a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import wrap
from typing import Any

from pleura.lab.train.recipe.recipe import Recipe

__all__ = ["recipe_toml"]

WIDTH = 98


def recipe_toml(recipe: Recipe, reasons: Mapping[str, str], *, heading: str) -> str:
    """The recipe as TOML, which `load_recipe` reads back from a file of the recipe's name.

    Keys with the default value are left out. `heading` is the comment at the top; `reasons` has
    comments by key, or by the name of a table.
    """
    top = _chosen(recipe.as_dict(), Recipe(name=recipe.name).as_dict())
    stages = top.pop("stages", [])
    tables = {name: value for name, value in top.items() if isinstance(value, dict)}
    lines = [*_comment(heading), ""]
    for key in [key for key in top if key not in tables]:
        lines += _pair(key, top[key], reasons)
    for stage in stages:
        lines += ["", *_comment(reasons.get("stages", "")), "[[stages]]"]
        for key in [key for key in stage if key != "augment"]:
            lines += _pair(key, stage[key], {})
        if "augment" in stage:
            lines += ["[stages.augment]", *_pairs(stage["augment"])]
    for name, table in tables.items():
        lines += ["", *_comment(reasons.get(name, "")), f"[{name}]", *_pairs(table)]
    return "\n".join(lines) + "\n"


def _chosen(table: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not the defaults, in tables inside the table too."""
    out: dict[str, Any] = {}
    for key, value in table.items():
        usual = defaults.get(key)
        if key in ("name", "channels_out") or value == usual:
            continue
        out[key] = _chosen(value, usual) if isinstance(value, dict) and usual else value
    return out


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [line for key in table for line in _pair(key, table[key], {})]


def _pair(key: str, value: Any, reasons: Mapping[str, str]) -> list[str]:
    """A line `key = value`, after its comment. JSON's numbers, texts and lists are TOML too."""
    name = (
        key
        if key.replace("_", "").replace("-", "").isalnum() and key.isascii()
        else json.dumps(key)
    )
    return [*_comment(reasons.get(key, "")), f"{name} = {json.dumps(value)}"]


def _comment(text: str) -> list[str]:
    return [f"# {line}" for paragraph in text.splitlines() for line in wrap(paragraph, WIDTH)]
