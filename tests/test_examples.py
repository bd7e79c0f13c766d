"""The notebook runs from top to bottom, on a few synthetic films."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from pleura.phantom.film import draw

CHECKOUT = Path(__file__).resolve().parents[1]
NOTEBOOK = CHECKOUT / "examples" / "train_on_colab.ipynb"


def code_cells() -> list[str]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """Ten synthetic films of 96 x 84 px with their masks, in the layout `folder`."""
    for name in ("images", "masks"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for seed in range(10):
        drawn = draw(96, 84, seed=seed)
        for name, picture in (
            ("images", drawn.radiograph.pixels),
            ("masks", drawn.right | drawn.left),
        ):
            grey = Image.fromarray((255 * picture.clip(0, 1)).astype("u1"))
            grey.save(tmp_path / "set" / name / f"{seed}.png")
    return tmp_path / "set"


def test_the_notebook_runs(small_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    tiny = {
        "PLEURA_EXAMPLE_DATA": str(small_set),
        "PLEURA_EXAMPLE_OUT": str(out),
        "PLEURA_EXAMPLE_TINY": "1",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", "\n\n".join(code_cells())],
        cwd=tmp_path,
        env={**os.environ, **tiny},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "weights" / "seed.onnx").is_file()
    assert (out / "report" / "report.html").is_file()
    scores = json.loads((out / "report" / "summary.json").read_text())
    assert scores["films"]["scored"] == 2  # a fifth of ten


def test_the_notebook_has_the_published_recipe() -> None:
    text = next(cell for cell in code_cells() if cell.startswith("recipe_text"))
    held: dict[str, str] = {}
    exec(text, held)
    recipe = (CHECKOUT / "recipes" / "seed.toml").read_text()
    assert tomllib.loads(held["recipe_text"]) == tomllib.loads(recipe)


def test_the_notebook_holds_no_output() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert [cell["outputs"] for cell in cells if cell.get("outputs")] == []


COLAB = """
import pathlib, sys, types
calls = []
def mount(path):
    calls.append(path)
    pathlib.Path(path, "MyDrive").mkdir(parents=True)
google, colab = types.ModuleType("google"), types.ModuleType("google.colab")
google.colab, colab.drive = colab, types.SimpleNamespace(mount=mount)
sys.modules |= {"google": google, "google.colab": colab}
"""


def run_first_cells(tmp_path: Path, after: str, **environment: str) -> subprocess.CompletedProcess:
    """The paths and the installation as on Colab, where Pleura is not installed."""
    paths, install = code_cells()[:2]
    stub = (
        "import importlib.util, subprocess\n"
        "importlib.util.find_spec = lambda name: None\n"
        "subprocess.run = lambda command, check: print(command[-1])\n"
    )
    return subprocess.run(
        [sys.executable, "-c", "\n\n".join((COLAB, paths, stub + after, install))],
        cwd=tmp_path,
        env={**os.environ, "COLAB_RELEASE_TAG": "x", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_on_colab_drive_is_mounted_and_a_wheel_is_installed_from_it(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    done = run_first_cells(
        tmp_path,
        "print(calls, data, out)\n(home / 'pleura-0.1.0-py3-none-any.whl').touch()\n",
        PLEURA_EXAMPLE_DRIVE=str(drive),
    )
    assert done.returncode == 0, done.stderr
    home = drive / "MyDrive" / "pleura"
    assert done.stdout.splitlines() == [
        f"['{drive}'] {home / 'films'} {home / 'runs' / 'seed'}",
        f"{home / 'pleura-0.1.0-py3-none-any.whl'}[train]",
    ]


def files_with_links(root: Path) -> list[Path]:
    """The files in which `make links` writes."""
    return [
        root / name
        for name in ("README.md", "docs/how-to/train-on-your-films.md", "examples/" + NOTEBOOK.name)
    ]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The files of the checkout in which `make links` writes."""
    for path in files_with_links(CHECKOUT):
        target = tmp_path / path.relative_to(CHECKOUT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def test_the_links_to_colab_come_and_go_with_the_address(copied: Path) -> None:
    write = runpy.run_path(str(CHECKOUT / "packaging" / "links.py"))["write_links"]
    address = "https://github.com/someone/pleura"
    write(copied, address)
    *pages, notebook = (path.read_text(encoding="utf-8") for path in files_with_links(copied))
    link = (
        "https://colab.research.google.com/github/someone/pleura/blob/main/"
        "examples/train_on_colab.ipynb"
    )
    assert [page.count(f"([open it in Colab]({link}))") for page in pages] == [1, 1]
    held: dict[str, str] = {}
    cells = json.loads(notebook)["cells"]
    (line,) = (
        line for cell in cells for line in cell["source"] if line.startswith("repository = ")
    )
    exec(line, held)
    assert held["repository"] == address
    write(copied, "https://elsewhere.example/pleura")
    *pages, notebook = (path.read_text(encoding="utf-8") for path in files_with_links(copied))
    assert not any("colab.research" in page for page in pages), "Colab opens GitHub alone"
    assert "https://elsewhere.example/pleura" in notebook
    write(copied, "")
    without = [path.read_text(encoding="utf-8") for path in files_with_links(copied)]
    assert not any("colab.research" in text for text in without)


def test_on_colab_a_repository_is_installed_from_its_address(tmp_path: Path) -> None:
    where = {"PLEURA_EXAMPLE_DRIVE": str(tmp_path / "drive")}
    address = "https://example.org/pleura"
    done = run_first_cells(tmp_path, "", PLEURA_EXAMPLE_SOURCE=address, **where)
    assert done.stdout.strip() == f"pleura[train] @ git+{address}", done.stderr
    shutil.rmtree(tmp_path / "drive")
    without = run_first_cells(tmp_path, "", **where)
    assert without.returncode != 0
    assert "put a wheel of Pleura into" in without.stderr
