"""Importing does nothing: neither the engine nor torch is loaded before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HEAVY = (
    "torch",
    "onnxruntime",
    "lightning",
    "monai",
    "matplotlib",
    "onnx",
    "tensorboard",
    "fastapi",
)

REPORT = "import json, sys; print(json.dumps(sorted(sys.modules)))"

HELP = """
import sys
sys.argv = ["pleura", *{arguments!r}]
from pleura.apps.cli.main import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code
assert not code, code
print()
"""


def loaded_after(code: str) -> set[str]:
    """The top packages that a fresh interpreter holds once it has run `code`."""
    quiet = {**os.environ, "PYTHONWARNINGS": "error"}
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{REPORT}"],
        capture_output=True,
        text=True,
        env=quiet,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return {name.partition(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


def heavy(code: str) -> set[str]:
    return loaded_after(code) & set(HEAVY)


def test_import_pleura_loads_no_heavy_library() -> None:
    assert heavy("import pleura; pleura.__version__") == set()


@pytest.mark.parametrize(
    "room", ["core.types", "core.masks.measure", "core.masks.cleanup", "io.read"]
)
def test_a_light_package_loads_no_heavy_library(room: str) -> None:
    assert heavy(f"import pleura.{room}") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["segment", "--help"], ["train", "--help"]]
)
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    assert heavy(HELP.format(arguments=arguments)) == set()


def test_the_segmenting_side_needs_no_torch() -> None:
    assert "torch" not in loaded_after("import pleura.api, pleura.runtime.engine")


REGISTRIES = """
import atexit, logging, sys, warnings
import pydicom.pixels.decoders.base as decoders
from PIL import Image
from pydicom import config

def registered():
    plugins = {
        decoder.UID: (decoder.available_plugins, tuple(decoder.missing_dependencies))
        for decoder in (getattr(decoders, name) for name in dir(decoders))
        if isinstance(decoder, decoders.Decoder)
    }
    assert len(plugins) > 10
    pillow = (dict(Image.OPEN), list(Image.ID), dict(Image.DECODERS), dict(Image.EXTENSION))
    levels = {name: logging.getLogger(name).level for name in ("pydicom", "PIL", "nibabel")}
    handlers = tuple(map(str, config.pixel_data_handlers))
    return plugins, pillow, levels, handlers, list(warnings.filters), atexit._ncallbacks()

Image.init()  # Pillow's own plugins
before = registered()
import pleura.io, MODULES
after = registered()
changed = [pair for pair in zip(before, after) if pair[0] != pair[1]]
assert not changed, changed
"""


def test_importing_io_has_no_side_effects() -> None:
    """Neither decoders with pydicom or Pillow, nor filters, levels or calls at exit."""
    modules = (
        "read",
        "decoder_process",
        "decoding",
        "film",
        "outputs",
        "images.read",
        "dicom.read",
    )
    loaded_after(
        REGISTRIES.replace("MODULES", ", ".join(f"pleura.io.{module}" for module in modules))
    )


def test_a_heavy_import_is_detected() -> None:
    assert heavy("import onnxruntime") == {"onnxruntime"}


def test_a_png_needs_neither_pydicom_nor_nibabel_nor_scipy(tmp_path: Path) -> None:
    """Each takes as long to load as a film takes."""
    film, out = tmp_path / "film.png", tmp_path / "out"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 80), np.uint8)).save(film)
    loaded = loaded_after(HELP.format(arguments=["segment", str(film), "-o", str(out), "-q"]))
    assert (out / "film_mask.png").is_file()
    assert {"openvino", "PIL"} <= loaded
    assert not loaded & {"pydicom", "nibabel", "gdcm", "_gdcm", "highdicom", "scipy"}
