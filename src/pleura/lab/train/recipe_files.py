"""Recipe files: the shipped ones with their names and summaries."""

from __future__ import annotations

from pathlib import Path

__all__ = ["find_recipe", "recipes_folder", "shipped_recipes"]


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
