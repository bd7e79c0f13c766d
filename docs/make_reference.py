"""Writes docs/reference/cli.md and recipe.md from the code, and the recipe in the notebook.

`make reference` runs it; `tests/test_docs.py` and `tests/test_examples.py` compare, so that
nothing drifts.
"""

from __future__ import annotations

import ast
import html
import inspect
import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
REFERENCE = CHECKOUT / "docs" / "reference"
NOTEBOOK = CHECKOUT / "examples" / "train_on_colab.ipynb"
NOTE = "<!-- Written by `make reference` from the code; do not edit. -->\n\n"

RECIPE_HEAD = """\
# Recipes

A recipe is a TOML file with a fixed set of keys. A key that is not listed here is an error, which
proposes the nearest one that is. The recipe travels inside the checkpoint and inside the card of
the exported weights. [Train on your films](../how-to/train-on-your-films.md) shows one in use.

"""

RECIPE_TABLES = (
    ("Top level", "pleura.lab.train.recipe", "Recipe", ("network", "augment")),
    ("`[network]`", "pleura.net.unetplusplus", "Architecture", ("channels_out",)),
    ("`[augment]`", "pleura.lab.train.recipe", "Augment", ()),
)


def cli_page() -> str:
    """The command line's reference, as typer writes it."""
    command = [sys.executable, "-m", "typer", "pleura.apps.cli.commands", "utils", "docs"]
    run = subprocess.run([*command, "--name", "pleura"], capture_output=True, text=True, check=True)
    lines = [line.rstrip() for line in html.unescape(run.stdout).splitlines()]
    paragraphs = re.split(r"\n{2,}", "\n".join(lines).strip())
    return NOTE + "\n\n".join(map(_fenced, paragraphs)) + "\n"


def _fenced(paragraph: str) -> str:
    """A paragraph of example commands as a block; any other as it is."""
    examples = all(line.startswith("pleura ") for line in paragraph.splitlines())
    return f"```text\n{paragraph}\n```" if examples else paragraph


def recipe_page() -> str:
    """Every key of a recipe: its default and its docstring."""
    return NOTE + RECIPE_HEAD + "\n".join(_table(*table) for table in RECIPE_TABLES)


def _table(title: str, module: str, name: str, left_out: tuple[str, ...]) -> str:
    kind = getattr(__import__(module, fromlist=[name]), name)
    docs = _attribute_docs(kind)
    rows = [
        f"| `{field.name}` | {_kind(field.type)} | {_default(field)} | {docs.get(field.name, '')} |"
        for field in fields(kind)
        if field.name not in left_out
    ]
    intro = inspect.getdoc(kind) or ""
    head = f"## {title}\n\n{intro}\n\n| key | kind | default | meaning |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _attribute_docs(kind: type) -> dict[str, str]:
    """The string literal after each attribute of a class, on one line."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        before.target.id: " ".join(after.value.value.split())
        for before, after in pairs
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }


def _kind(annotation: Any) -> str:
    text = str(annotation).replace("|", "or")
    if text.startswith("Literal["):
        return " or ".join(f"`{value}`" for value in ast.literal_eval(text[7:]))
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    if text.startswith("tuple["):
        return f"list of {names[text[6:].split(',')[0]]}s".replace("texts", "names")
    if text.startswith("dict["):
        return "table of numbers"
    return names.get(text, text)


def _default(field: Any) -> str:
    if field.default is MISSING and field.default_factory is not MISSING:
        return "`{}`"
    if field.default is MISSING:
        return "the file's stem" if field.name == "name" else "needed"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return f"`{text}`".replace("'", '"')


def notebook() -> str:
    """The notebook, with recipes/seed.toml as it is now in its recipe cell."""
    held = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    recipe = (CHECKOUT / "recipes" / "seed.toml").read_text(encoding="utf-8").strip()
    for cell in held["cells"]:
        if "".join(cell["source"]).startswith("recipe_text ="):
            cell["source"] = f'recipe_text = """\\\n{recipe}\n"""'.splitlines(keepends=True)
    return json.dumps(held, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
    for page, text in (("cli.md", cli_page), ("recipe.md", recipe_page)):
        (REFERENCE / page).write_text(text(), encoding="utf-8")
