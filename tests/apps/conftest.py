"""A network small enough to work out by hand, films it can segment, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.faults.weights import dark_is_lung
from numpy.typing import NDArray
from PIL import Image

from pleura.apps.cli.main import main
from pleura.io.dicom import parse


@pytest.fixture(scope="session")
def blind_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that find no lung in any film."""
    path = tmp_path_factory.mktemp("weights") / "blind.onnx"
    path.write_bytes(dark_is_lung(level=-1.0))
    return path


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command as the shell would, in this process."""

    def command(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return command


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights that call a pixel lung where it is darker than half: p = sigmoid(20 (0.5 - x))."""
    path = tmp_path_factory.mktemp("weights") / "tiny.onnx"
    path.write_bytes(dark_is_lung())
    return path


def draw_film(height: int = 160, width: int = 128, *, dark: int = 40) -> NDArray[np.uint8]:
    """Two dark rectangles on bright ground: rows 1/4..3/4; columns 1/8..3/8 and 5/8..7/8.

    The ground is a ramp of 16 grey values, so that the film is no mask.
    """
    film = np.empty((height, width), np.uint8)
    film[:] = 200 + np.arange(width) * 16 // width
    rows = slice(height // 4, 3 * height // 4)
    film[rows, width // 8 : 3 * width // 8] = dark
    film[rows, 5 * width // 8 : 7 * width // 8] = dark
    return film


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder: a.png, b.png, deep/a.png (same stem), and notes.txt, which is no film."""
    folder = tmp_path / "films"
    for name, height in {"a.png": 160, "b.png": 200, "deep/a.png": 240}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_film(height)).save(path)
    (folder / "notes.txt").write_text("not a film")
    return folder


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The first bytes of each DICOM file that pydicom parses, in this process."""
    parsed: list[bytes] = []
    dcmread = parse.dcmread

    def counting(stream: Any, **options: Any) -> Any:
        parsed.append(stream.read(64))
        stream.seek(0)
        return dcmread(stream, **options)

    monkeypatch.setattr(parse, "dcmread", counting)
    return parsed
