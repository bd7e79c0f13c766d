"""A film whose reading ends the whole process fails when the run is resumed, and alone."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RUN = """
import os, signal, sys
from pleura.io import read
from pleura.io.images import read as images

def read_image(stream, **options):
    if b"killer" in stream.read():
        os.kill(os.getpid(), signal.SIGKILL)
    stream.seek(0)
    return actual(stream, **options)

actual, read.read_image = images.read_image, read_image
"""
"""A decoder that ends its process at a certain film; `sitecustomize` of every process."""


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(6):
        grey = np.add.outer(np.arange(96) * 2, np.arange(80) + number).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")
    with (folder / "3.png").open("ab") as file:
        file.write(b"killer")
    return folder


def segment(films: Path, *more: str) -> subprocess.CompletedProcess[str]:
    (films.parent / "sitecustomize.py").write_text(RUN)
    path = os.pathsep.join([str(films.parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "pleura", "segment", films, "-o", films.parent / "out", *more],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def test_a_film_that_killed_the_run_fails_when_it_is_resumed(films: Path) -> None:
    assert segment(films, "--jobs", "2").returncode == -signal.SIGKILL
    resumed = segment(films, "--jobs", "2", "--resume")
    assert resumed.returncode == 3, resumed.stderr
    with (films.parent / "out" / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["film"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items() if row["status"] != "done"} == {
        "3": "failed"
    }
    assert "the decoder crashed on this film (SIGKILL)" in rows["3"]["error"]
    assert len(rows) == 6
    assert [path.name for path in (films.parent / "out").iterdir() if path.name[0] == "."] == []
