"""The notebook runs from top to bottom, on a few drawn films."""

from __future__ import annotations

import json
import os
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
    """Ten drawn films of 96 x 84 px with their masks, in the layout `folder`."""
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
