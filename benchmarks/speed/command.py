"""`pleura` as people start it: what a command takes, and films for it."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pleura.phantom.film import draw

DRAWN = 10
"""Films of a folder that are drawn; the others are links to them."""

BETWEEN = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    "usage = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)"
)
"""A small process between us and the command: a child is counted with what its parent held."""


@dataclass(frozen=True)
class Taken:
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(arguments: list[str]) -> Taken:
    """Run a command of ours in a process of its own."""
    words = [sys.executable, "-m", "pleura", *arguments]
    began = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, "-c", BETWEEN, *words], check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - began
    peak, cpu = finished.stdout.split()[-2:]
    return Taken(wall, float(cpu), int(peak) * (1 if sys.platform == "darwin" else 1024) / 1e6)


def threads_of(options: argparse.Namespace) -> list[str]:
    return ["--threads", str(options.threads)] if options.threads else []


def drawn(path: Path, size: tuple[int, int], *, seed: int = 0, bits: int = 8) -> Path:
    """A synthetic film of (height, width) as PNG."""
    pixels = draw(*size, seed=seed).radiograph.pixels
    low, high = pixels.min(), pixels.max()
    kind, most = (np.uint8, 255) if bits == 8 else (np.uint16, 65535)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((most * (pixels - low) / (high - low)).astype(kind)).save(path)
    return path


def many(folder: Path, count: int, *, side: int = 512) -> Path:
    """A folder of `count` films."""
    first = [drawn(folder / f"{n:05}.png", (side, side), seed=n) for n in range(min(DRAWN, count))]
    for number in range(len(first), count):
        (folder / f"{number:05}.png").hardlink_to(first[number % len(first)])
    return folder
