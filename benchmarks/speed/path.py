"""The whole path of one film, warm and from a cold process; the size of the install."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement

from benchmarks.speed.command import drawn, threads_of
from benchmarks.speed.measure import interleaved
from pleura.io.outputs import write_outputs
from pleura.io.read import read_radiograph
from pleura.runtime.open import Choice, open_weights
from pleura.runtime.segmenter import Segmenter

SIDES = (512, 2000, 4000)
FILM_ROUNDS = 10
"""A round takes 2 to 4 seconds, and the part should take no more than a minute or two."""

COLD = """
import sys, time
began = time.perf_counter()
def lap(name):
    global began
    print(name, time.perf_counter() - began)
    began = time.perf_counter()
import numpy
lap("import numpy")
sys.modules["openvino_telemetry"] = None  # as `runtime.openvino_engine` leaves it out
import openvino
lap("import openvino")
import typer, pleura.apps.cli.main
lap("import typer")
import pleura.apps.segment.command, pleura.apps.segment.run, pleura.runtime.segmenter
import pleura.io.read, pleura.io.outputs
lap("import pleura and pillow")
from pleura.apps.cli.engines import Choice, open_engine
engine = open_engine(choice=Choice(threads=THREADS))
lap("open the weights")
from pleura.io.read import read_radiograph
from pleura.io.outputs import write_outputs
from pleura.runtime.segmenter import Segmenter
from pathlib import Path
film = Path("FILM")
segmenter = Segmenter(engine)
for name in ("first film", "second film"):
    write_outputs(segmenter(read_radiograph(film)), film.with_suffix(""))
    lap(name)
import pydicom.pixels, nibabel
lap("import pydicom, nibabel: for DICOM and NIfTI films only")
"""
"""A cold `pleura segment film.png` taken apart; a line a part: its name, seconds."""


def film(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """From a PNG on disk to a mask on disk, in a process that is warm."""
    paths = {side: drawn(folder / f"{side}.png", (side, side)) for side in SIDES}
    made = {
        name: Segmenter(open_weights(choice=Choice(fast=fast, threads=options.threads)))
        for name, fast in (("", False), (" --fast", True))
    }

    def call(side: int, name: str) -> None:
        write_outputs(made[name](read_radiograph(paths[side])), folder / "out")

    calls = {(side, name): lambda k=(side, name): call(*k) for side in SIDES for name in made}
    times = interleaved(calls, rounds=min(options.rounds, FILM_ROUNDS))
    table = {
        f"{side} px{name}": {
            "p50_ms": 1e3 * statistics.median(time),
            "p95_ms": 1e3 * float(np.percentile(time, 95)),
        }
        for (side, name), time in times.items()
    }
    return {"engine": made[""].engine.name, "table": table}


def start(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of a fresh process, the least of five."""
    path = drawn(folder / "film.png", (512, 512))
    more = ["-q", "--overwrite", *threads_of(options)]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "pleura --help": [sys.executable, "-m", "pleura", "--help"],
        "pleura segment film.png": [
            *(sys.executable, "-m", "pleura", "segment", str(path), "-o", str(folder / "out")),
            *more,
        ],
    }
    calls = {
        name: lambda words=words: subprocess.run(words, check=True, capture_output=True)
        for name, words in commands.items()
    }
    seconds = {name: min(value) for name, value in interleaved(calls, rounds=5).items()}
    return {"seconds": seconds, "parts": _cold(path, options.threads)}


def _cold(film: Path, threads: int | None) -> dict[str, float]:
    """Part of a cold start -> the least seconds of five."""
    words = COLD.replace("THREADS", repr(threads)).replace("FILM", str(film))
    least: dict[str, float] = {}
    for _ in range(5):
        finished = subprocess.run(
            [sys.executable, "-c", words], check=True, capture_output=True, text=True
        )
        for line in finished.stdout.splitlines():
            name, _, taken = line.rpartition(" ")
            least[name] = min(float(taken), least.get(name, float("inf")))
    return least


def size(_options: argparse.Namespace, _folder: Path) -> dict[str, Any]:
    """MB on disk of what the base package and the extra `onnxruntime` bring."""
    base = _closure("pleura", "")
    more = _closure("pleura", "onnxruntime") - base
    return {
        "base_mb": sum(map(_megabytes, base)),
        "onnxruntime_mb": sum(map(_megabytes, more)),
        "packages_mb": {name: _megabytes(name) for name in sorted(base | more)},
    }


def _closure(name: str, extra: str) -> set[str]:
    names: set[str] = set()
    waiting = [(name, extra)]
    while waiting:
        package, chosen = waiting.pop()
        for line in distribution(package).requires or []:
            wanted = Requirement(line)
            if wanted.marker and not wanted.marker.evaluate({"extra": chosen}):
                continue
            if wanted.name.lower() not in names:
                names.add(wanted.name.lower())
                waiting.append((wanted.name, ""))
    return names


def _megabytes(name: str) -> float:
    files = distribution(name).files or []
    return sum(Path(f.locate()).stat().st_size for f in files if Path(f.locate()).is_file()) / 1e6
