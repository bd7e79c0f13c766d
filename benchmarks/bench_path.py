"""The whole path: one film, a folder, memory, a cold start, the size of the install."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from bench_parts import interleaved
from packaging.requirements import Requirement
from PIL import Image

from pleura.core.phantom import draw
from pleura.io.outputs import write_outputs
from pleura.io.read import read_radiograph
from pleura.runtime.choice import Choice
from pleura.runtime.engine import Engine
from pleura.runtime.engines import open_weights
from pleura.runtime.segmenter import Segmenter

SIDES = (512, 2000, 4000)
FILM_ROUNDS = 10
"""A round takes 2 to 4 seconds, and the part should take no more than a minute or two."""

LARGE = (5000, 4000)
"""Rows and columns of a film of 20 megapixels."""


def film(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """From a PNG on disk to a mask on disk, in a process that is warm."""
    paths = {side: _drawn(folder / f"{side}.png", side, side) for side in SIDES}
    made = {
        name: Segmenter(open_weights(None, Choice(fast=fast, threads=options.threads)))
        for name, fast in (("", False), (" --fast", True))
    }

    def call(side: int, name: str) -> None:
        write_outputs(made[name](read_radiograph(paths[side])), folder / "out")

    calls = {(side, name): lambda k=(side, name): call(*k) for side in SIDES for name in made}
    times = interleaved(calls, rounds=min(options.rounds, FILM_ROUNDS))
    table = {
        f"{side} px{name}": {
            "p50_ms": 1e3 * statistics.median(each),
            "p95_ms": 1e3 * float(np.percentile(each, 95)),
        }
        for (side, name), each in times.items()
    }
    return {"engine": made[""].engine.name, "table": table}


def folder(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Films a second of `pleura segment` on films of 512 px, against the network alone."""
    films = _many(folder / "films", options.films)
    engine = open_weights(None, Choice(threads=options.threads))
    square = np.random.default_rng(0).random((1, 1, 512, 512), dtype=np.float32)
    alone = _calls(engine, square)
    table = {}
    for batch in (1, 4):
        out = folder / f"out{batch}"
        more = [*_threads(options), "--batch-size", str(batch)]
        _run(["segment", str(films), "-o", str(out), "-q", *more])
        seconds = json.loads((out / "run.json").read_text())["seconds"]
        rate, before, alone = options.films / seconds, alone, _calls(engine, square)
        mean = (before + alone) / 2  # of what it did before the run and after it
        table[f"batch {batch}"] = {
            "films_a_second": rate,
            "network_films_a_second": 1 / mean,
            "of_the_network_alone": rate * mean,
        }
    return {"films": options.films, "table": table}


def _calls(engine: Engine, square: np.ndarray) -> float:
    """Seconds of one call of the network, the mean of 25: as it is in a run, not at its best."""
    return statistics.fmean(interleaved({0: lambda: engine.predict(square)}, rounds=25)[0])


def memory(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Peak resident memory of `pleura segment`, MB."""
    large = _drawn(folder / "large.png", *LARGE)
    few, many = _many(folder / "few", 20), _many(folder / "many", max(40, options.films))
    table = {}
    for name, given in {
        "one film of 20 megapixels": large,
        "20 films of 512 px": few,
        f"{max(40, options.films)} films of 512 px": many,
    }.items():
        more = _threads(options)
        table[name] = _run(["segment", str(given), "-o", str(folder / name), "-q", *more])
    return {"peak_mb": table}


def start(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Seconds of a fresh process, the least of five."""
    path = _drawn(folder / "film.png", 512, 512)
    more = ["-q", "--overwrite", *_threads(options)]
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
    return {"seconds": {name: min(each) for name, each in interleaved(calls, rounds=5).items()}}


def size(_options: argparse.Namespace, _folder: Path) -> dict[str, Any]:
    """MB on disk of what the base package and the extra `openvino` bring."""
    base = _closure("pleura", "")
    more = _closure("pleura", "openvino") - base
    return {
        "base_mb": sum(map(_megabytes, base)),
        "openvino_mb": sum(map(_megabytes, more)),
        "packages_mb": {name: _megabytes(name) for name in sorted(base | more)},
    }


def _drawn(path: Path, height: int, width: int, seed: int = 0) -> Path:
    pixels = draw(height, width, seed=seed).radiograph.pixels
    low, high = pixels.min(), pixels.max()
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 * (pixels - low) / (high - low)).astype(np.uint8)).save(path)
    return path


def _many(folder: Path, count: int) -> Path:
    """A folder of `count` films; ten are drawn, the others are copies."""
    drawn = [_drawn(folder / f"{n:05}.png", 512, 512, seed=n) for n in range(min(10, count))]
    for number in range(len(drawn), count):
        (folder / f"{number:05}.png").write_bytes(drawn[number % len(drawn)].read_bytes())
    return folder


def _threads(options: argparse.Namespace) -> list[str]:
    return ["--threads", str(options.threads)] if options.threads else []


def _run(arguments: list[str]) -> float:
    """Run a command of ours; its peak memory in MB.

    A small process between us and it: a child is counted with what its parent held at the fork.
    """
    words = [sys.executable, "-m", "pleura", *arguments]
    told = subprocess.run(
        [sys.executable, "-c", BETWEEN, *words], check=True, capture_output=True, text=True
    )
    return int(told.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024) / 1e6


BETWEEN = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def _closure(name: str, extra: str) -> set[str]:
    found: set[str] = set()
    waiting = [(name, extra)]
    while waiting:
        package, chosen = waiting.pop()
        for line in distribution(package).requires or []:
            wanted = Requirement(line)
            if wanted.marker and not wanted.marker.evaluate({"extra": chosen}):
                continue
            if wanted.name.lower() not in found:
                found.add(wanted.name.lower())
                waiting.append((wanted.name, ""))
    return found


def _megabytes(name: str) -> float:
    files = distribution(name).files or []
    return sum(Path(f.locate()).stat().st_size for f in files if Path(f.locate()).is_file()) / 1e6
