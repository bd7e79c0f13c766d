"""The example client and the lines of the how-to, run against a service."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
PAGE = CHECKOUT / "docs" / "how-to" / "serve.md"


@pytest.fixture
def desk(films: Path, tmp_path: Path) -> Path:
    """A folder with film.png and films/ward-a, ward-b, as the how-to's lines expect them."""
    for place in ("film.png", "films/ward-a/film.png", "films/ward-b/film.png"):
        (tmp_path / "desk" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(films / "b.png", tmp_path / "desk" / place)
    return tmp_path / "desk"


def mask_of(film: Path, weights: Path, run: Callable[..., Any]) -> bytes:
    out = film.parent / "written"
    assert run("segment", film, "-o", out, "--weights", weights, "--no-progress").code == 0
    return (out / f"{film.stem}_mask.png").read_bytes()


def test_the_lines_of_the_how_to_run(
    client: httpx.Client, desk: Path, tiny_weights: Path, run: Callable[..., Any]
) -> None:
    blocks = re.findall(
        r"test_examples\.py starts one and runs it -->\n```bash\n(.*?)```", PAGE.read_text(), re.S
    )
    assert len(blocks) == 2
    for block in blocks:
        lines = block.replace("http://127.0.0.1:8017", str(client.base_url).rstrip("/"))
        subprocess.run(["bash", "-euo", "pipefail", "-c", lines], cwd=desk, check=True)
    assert (desk / "film_mask.png").read_bytes() == mask_of(desk / "film.png", tiny_weights, run)
    assert json.loads((desk / "film.json").read_text())["lungs"]["field"]["rle"]["right"]
    assert len(json.loads((desk / "films.json").read_text())["results"]) == 2
    with (desk / "results.csv").open(newline="") as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["done", "done"]


def test_the_example_client_keeps_the_mask_of_the_command_line(
    client: httpx.Client, desk: Path, tiny_weights: Path, run: Callable[..., Any]
) -> None:
    (desk / "broken.png").write_text("not a film")
    example = CHECKOUT / "examples" / "client.py"
    done = subprocess.run(
        [sys.executable, example, "film.png", "broken.png"],
        cwd=desk,
        env={**os.environ, "PLEURA_URL": str(client.base_url).rstrip("/")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "film_mask.png: the lungs are" in done.stdout
    assert "broken.png: this is a text file" in done.stdout
    assert (desk / "film_mask.png").read_bytes() == mask_of(desk / "film.png", tiny_weights, run)
