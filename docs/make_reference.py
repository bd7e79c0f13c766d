"""Writes docs/reference/cli.md, recipe.md and the tables of conformance.md from the code, and the
recipe in the notebook.

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
    ("Top level", "pleura.lab.train.recipe", "Recipe", ("network", "augment", "stages")),
    ("`[[stages]]`", "pleura.lab.train.recipe", "Stage", ("augment",)),
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


def conformance_page() -> str:
    """The conformance statement, its tables as the code is now."""
    text = (REFERENCE / "conformance.md").read_text(encoding="utf-8")
    tables = {
        "received_classes": _uid_table("SOP class", sorted(_film_classes())),
        "transfer_syntaxes": _uid_table("transfer syntax", _transfer_syntaxes()),
        "result_classes": _result_classes(),
        "association": _association_limits(),
    }
    for name, table in tables.items():
        marks = re.compile(rf"(<!-- table {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = marks.sub(lambda match, rows=table: f"{match[1]}{rows}{match[2]}", text)
    return text


NAMES_OF_UIDS = {  # retired, or newer than the dictionary of pydicom
    "1.2.840.10008.5.1.4.1.1.29": "Hardcopy Grayscale Image Storage (retired)",
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
}


def _uid_name(uid: str) -> str:
    from pydicom.uid import UID

    return NAMES_OF_UIDS.get(uid) or UID(uid).name


def _uid_table(title: str, uids: list[str]) -> str:
    rows = "".join(f"| {_uid_name(uid)} | `{uid}` |\n" for uid in uids)
    return f"| {title} | UID |\n|---|---|\n{rows}"


def _film_classes() -> frozenset[str]:
    from pleura.io.dicom.received import FILM_CLASSES

    return FILM_CLASSES


def _transfer_syntaxes() -> list[str]:
    from pleura.io.dicom.received import transfer_syntaxes

    return transfer_syntaxes()


RESULT_CLASSES = {
    "dicom-seg": "1.2.840.10008.5.1.4.1.1.66.4",
    "dicom-seg-fractional": "1.2.840.10008.5.1.4.1.1.66.4",
    "dicom-seg-labelmap": "1.2.840.10008.5.1.4.1.1.66.7",
    "dicom-sr": "1.2.840.10008.5.1.4.1.1.88.33",
    "dicom-sc": "1.2.840.10008.5.1.4.1.1.7",
    "dicom-gsps": "1.2.840.10008.5.1.4.1.1.11.1",
    "dicom-kos": "1.2.840.10008.5.1.4.1.1.88.59",
}
"""The SOP class of each format; tests compare them with real results."""


def _result_classes() -> str:
    from pleura.io.dicom.formats import DICOM_FORMATS

    rows = "".join(
        f"| {_uid_name(RESULT_CLASSES[name])} | `{RESULT_CLASSES[name]}` | `{name}` |\n"
        for name in DICOM_FORMATS
    )
    return f"| SOP class | UID | `--format` |\n|---|---|---|\n{rows}"


def _association_limits() -> str:
    from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

    from pleura.apps.pacs.client import ANSWER_S, CONNECT_S
    from pleura.apps.pacs.node.reception import server

    rows = {
        "implementation class UID": f"`{PYNETDICOM_IMPLEMENTATION_UID}` (pynetdicom)",
        "implementation version name": f"`{PYNETDICOM_IMPLEMENTATION_VERSION}`",
        "largest PDU that is asked for": f"{server.PDU_BYTES} bytes",
        "associations at the same time, as acceptor": f"{server.ASSOCIATIONS}; "
        f"{server.PER_PEER} of one address",
        "associations at the same time, as initiator": "1 for each destination",
        "longest silence, as acceptor": f"{server.IDLE_S:g} s",
        "time to connect, time for an answer, as initiator": f"{CONNECT_S:g} s, {ANSWER_S:g} s",
    }
    body = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    return f"| characteristic | value |\n|---|---|\n{body}"


def notebook() -> str:
    """The notebook, with recipes/seed.toml as it is now in its recipe cell."""
    held = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    recipe = (CHECKOUT / "recipes" / "seed.toml").read_text(encoding="utf-8").strip()
    for cell in held["cells"]:
        if "".join(cell["source"]).startswith("recipe_text ="):
            cell["source"] = f'recipe_text = """\\\n{recipe}\n"""'.splitlines(keepends=True)
    return json.dumps(held, indent=1, ensure_ascii=False) + "\n"


PAGES = {"cli.md": cli_page, "recipe.md": recipe_page, "conformance.md": conformance_page}
"""What writes each page."""


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
    for page, text in PAGES.items():
        (REFERENCE / page).write_text(text(), encoding="utf-8")
