"""The import table of docs/explanation/architecture.md, and the limits of files and functions."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "pleura"
LONGEST_FILE, LONGEST_FUNCTION = 400, 50  # lines
MAX_IN_A_FOLDER = 11  # modules


@dataclass(frozen=True)
class ImportRules:
    """What a package may import at the top of a module, and what only inside a function."""

    ours: frozenset[str]
    third: frozenset[str]
    late: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    """Modules of the standard library that it may not import."""


def _rules(ours: str = "", third: str = "", *, late: str = "", forbidden: str = "") -> ImportRules:
    return ImportRules(*(frozenset(names.split()) for names in (ours, third, late, forbidden)))


RULES = {
    "core": _rules(
        "core",
        "numpy",
        forbidden="os io pathlib logging time datetime tempfile shutil subprocess socket urllib",
    ),
    "phantom": _rules("core phantom", "numpy"),
    "io": _rules(
        "core io", "numpy scipy pydicom highdicom PIL nibabel", late="imagecodecs gdcm pyarrow"
    ),
    "runtime": _rules("core runtime _version", "numpy onnxruntime openvino"),
    "net": _rules(
        "core net", "numpy torch onnx google onnxscript safetensors pooch", late="onnxruntime"
    ),
    "lab": _rules(
        "core phantom io runtime net lab _version",
        "numpy scipy PIL torch lightning monai matplotlib pooch safetensors rich jinja2 markupsafe",
        late="mlflow",  # taken if it is there; no extra brings it
    ),
    "apps": _rules(
        "core io runtime phantom apps api _version",
        "typer rich fastapi starlette prometheus_client pynetdicom pydantic",
        late="lab net PIL uvicorn dicomweb_client requests urllib3 ray pyarrow napari",
    ),
    "api": _rules("core io runtime _version", "numpy PIL"),
    "__init__": _rules("_version", late="api apps"),
    "_version": _rules(),
    "__main__": _rules("apps"),
}
"""Nothing imports the package itself: its version is in `_version`."""


def _imports(tree: ast.Module) -> Iterator[tuple[ast.stmt, str, bool]]:
    """Every import: the statement, the module's dotted name, and whether it runs at import."""
    nodes: list[tuple[ast.AST, bool]] = [(tree, True)]
    while nodes:
        node, at_import = nodes.pop()
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = node.module or ""
            if stem == "pleura":  # from pleura import api, core.x ...
                yield from ((node, f"pleura.{alias.name}", at_import) for alias in node.names)
            else:
                yield node, "." * node.level + stem, at_import
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inside = True  # never runs
        nodes.extend((child, at_import and not inside) for child in ast.iter_child_nodes(node))


def _where_from(name: str) -> tuple[str, str]:
    """(kind, name): kind is `ours`, `standard` or `third`."""
    top, _, rest = name.partition(".")
    if top == "pleura":
        first = rest.partition(".")[0]
        return "ours", first if first in RULES else "pleura"
    return ("standard" if top in sys.stdlib_module_names else "third"), top


def violations(package: str, source: str) -> list[str]:
    """Every import of `source`, a module of `package`, that the table does not allow."""
    rules, forbidden = RULES[package], []
    for node, name, at_import in _imports(ast.parse(source)):
        if name.startswith("."):
            forbidden.append(f"line {node.lineno}: relative import")
            continue
        kind, top = _where_from(name)
        allowed = {"ours": rules.ours, "third": rules.third}.get(kind, {top} - rules.forbidden)
        if top in allowed or (top in rules.late and not at_import):
            continue
        late = " outside a function" if top in rules.late else ""
        forbidden.append(f"line {node.lineno}: {package} imports {name}{late}")
    return forbidden


def lengths(source: str, *, commands: bool = False) -> list[str]:
    """Files and functions that are too long.

    A command's signature and docstring declare its options and its help: only what follows them
    is counted where `commands` is set.
    """
    lines = source.count("\n")
    too_long = [] if lines < LONGEST_FILE else [f"{lines} lines"]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            first = body[0].lineno if commands and body else node.lineno
            size = (node.end_lineno or first) - first + 1
            if size > LONGEST_FUNCTION:
                too_long.append(f"{node.name}: {size} lines")
    return too_long


def parameters(source: str) -> list[str]:
    """Functions with more than five parameters."""
    too_many = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        by_place = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        by_place = by_place[1:] if by_place[:1] in (["self"], ["cls"]) else by_place
        if len(by_place) + len(node.args.kwonlyargs) > 5:
            too_many.append(f"{node.name}: more than five parameters")
    return too_many


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def package_of(module: Path) -> str:
    """The package of a module, or its own name at the root."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
class TestEveryModule:
    def test_imports_only_what_its_package_may(self, module: Path) -> None:
        assert violations(package_of(module), module.read_text()) == []

    def test_is_short(self, module: Path) -> None:
        in_apps = package_of(module) == "apps"
        assert lengths(module.read_text(), commands=in_apps) == []

    def test_functions_have_few_parameters(self, module: Path) -> None:
        if package_of(module) != "apps":  # a command's options are its parameters
            assert parameters(module.read_text()) == []


def test_the_engine_is_imported_in_one_place() -> None:
    """`runtime` alone segments with it; `net` reads graphs and writes int8 graphs with it."""
    importers = {
        str(module.relative_to(PACKAGE))
        for module in modules()
        for _, name, _ in _imports(ast.parse(module.read_text()))
        if name.partition(".")[0] == "onnxruntime"
    }
    assert importers == {"runtime/engine.py", "net/int8/graph.py", "net/int8/quantise.py"}


def _within(package: str) -> list[Path]:
    return sorted((PACKAGE / package).rglob("*.py"))


def test_judging_does_not_import_the_data_loader() -> None:
    """Scores do not depend on the code that trained the weights."""
    importers = {
        f"{module.relative_to(PACKAGE)}: {name}"
        for module in (*_within("lab/evaluate"), *_within("lab/data"))
        for _, name, _ in _imports(ast.parse(module.read_text()))
        if name.startswith("pleura.lab.train")
    }
    assert _within("lab/evaluate")
    assert importers == set()


def test_core_opens_no_file_and_reads_no_environment() -> None:
    calls = [
        f"{module.name}: {node.func.id}"
        for module in _within("core")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"open", "print", "input"}
    ]
    assert calls == []


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("core", "import torch"),
        ("core", "import os"),
        ("core", "from pathlib import Path"),
        ("core", "from pleura.io.read import read_radiograph"),
        ("core", "def f():\n    import pydicom"),
        ("core", "from . import types"),
        ("io", "import onnxruntime"),
        ("io", "from pleura.runtime import engine"),
        ("runtime", "from pleura.io.read import read_radiograph"),
        ("runtime", "import torch"),
        ("net", "from pleura.lab import films"),
        ("lab", "def f():\n    from pleura.apps import cli"),
        ("lab", "import mlflow"),
        ("apps", "import numpy as np"),
        ("apps", "def f():\n    import numpy as np"),
        ("apps", "from pleura.lab.train.run import train"),
        ("apps", "class A:\n    import pleura.net.export"),
        ("api", "from pleura.lab.data.film import Film"),
        ("__init__", "from pleura.api import segment"),
    ],
)
def test_the_table_forbids(package: str, source: str) -> None:
    assert len(violations(package, source)) == 1


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("core", "import math\nimport numpy\nfrom pleura.core.types import Mask"),
        ("apps", "def f():\n    from pleura.lab.train.run import train"),
        ("apps", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pleura.net.vgg"),
        ("__init__", "def __getattr__(name):\n    from pleura import api"),
    ],
)
def test_the_table_allows(package: str, source: str) -> None:
    assert violations(package, source) == []


def test_long_code_is_detected() -> None:
    body = "    x = 1\n"
    assert lengths("def f():\n" + body * (LONGEST_FUNCTION - 1)) == []
    assert lengths("def f():\n" + body * LONGEST_FUNCTION) == ["f: 51 lines"]
    assert lengths("\n" * LONGEST_FILE) == ["400 lines"]
    option = "    a=1,\n"
    command = "def f(\n" + option * 60 + "):\n    'Help.'\n"
    assert lengths(command + body * LONGEST_FUNCTION, commands=True) == []
    assert lengths(command + body, commands=False) == ["f: 64 lines"]
    assert lengths(command + body * (LONGEST_FUNCTION + 1), commands=True) == ["f: 51 lines"]


def test_many_parameters_are_detected() -> None:
    assert parameters("def f(a, b, c, d, e): ...") == []
    assert parameters("def f(a, b, *, c, d, e, g): ...") == ["f: more than five parameters"]
    assert parameters("class A:\n    def f(self, a, b, c, d, e): ...") == []


def imported_modules(module: Path) -> set[str]:
    """The modules of ours that `module` imports when it is loaded, by dotted name."""
    known = {dotted(path) for path in modules()}
    names = set()
    for node, name, at_import in _imports(ast.parse(module.read_text())):
        if at_import and name.split(".")[0] == "pleura":
            submodules = {f"{name}.{alias.name}" for alias in node.names} & known  # type: ignore[attr-defined]
            names |= submodules if len(submodules) == len(node.names) else {name, *submodules}  # type: ignore[attr-defined]
    return (names & known) - {dotted(module)}


def dotted(module: Path) -> str:
    """`src/pleura/io/read.py` is `pleura.io.read`; a package is its `__init__.py`."""
    parts = ("pleura", *module.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_there_is_no_import_cycle() -> None:
    graph = {dotted(module): imported_modules(module) for module in modules()}
    assert graph["pleura.io.read"], "imports are found at all"
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_folders_stay_small() -> None:
    """A folder with more modules is hard to look through."""
    sizes = Counter(module.parent for module in modules() if module.name != "__init__.py")
    large = {str(path.relative_to(PACKAGE)): n for path, n in sizes.items() if n > MAX_IN_A_FOLDER}
    assert large == {}
