"""The example that segments a folder runs as it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

from pleura.core.masks.overlay import display
from pleura.phantom.film import draw

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "segment_folder.py"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(EXAMPLE), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_example_segments_a_folder(tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    films.mkdir()
    Image.fromarray(display(draw(256, 224).radiograph.pixels)).save(films / "drawn.png")
    (films / "text.png").write_text("no film")
    done = run(films, out)
    assert done.returncode == 3, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("drawn.png: the lungs are ")
    assert lines[1].startswith("text.png: this is a text file")
    with Image.open(out / "drawn_mask.png") as mask:
        assert mask.size == (224, 256)
    assert (out / "drawn_overlay.png").exists()


def test_without_folders_it_prints_its_usage() -> None:
    done = run()
    assert done.returncode == 1
    assert "python examples/segment_folder.py films/ lungs/" in done.stderr
