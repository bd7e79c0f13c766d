"""CPU time of each step from a file to its mask: a film of 20 megapixels, and films of 512 px."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.command import drawn
from benchmarks.speed.folder import LARGE
from pleura.core.frame import Frame, ProbabilityMaps, normalise
from pleura.core.masks.cleanup import THRESHOLD, check_definition, clean
from pleura.core.quality.verdict import judge_masks
from pleura.io.outputs import write_outputs
from pleura.io.read import read_radiograph
from pleura.runtime.engine import Engine
from pleura.runtime.open import Choice, open_weights
from pleura.runtime.segmenter import Segmenter

ROUNDS = 7


def stages(_options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Medians of CPU ms; the network on one thread, for threads that wait cost CPU time too."""
    films = {
        "20 megapixels, 16 bits": drawn(folder / "large.png", LARGE, bits=16),
        "512 px, 8 bits": drawn(folder / "small.png", (512, 512)),
    }
    engine = open_weights(choice=Choice(threads=1))
    table = {}
    for name, path in films.items():
        taken: dict[str, list[float]] = defaultdict(list)
        for turn in range(ROUNDS + 1):
            steps = _steps(path, engine, folder / "out")
            if turn:  # the first loads what is loaded once
                for step, seconds in steps.items():
                    taken[step].append(1e3 * seconds)
        table[name] = {step: statistics.median(value) for step, value in taken.items()}
        about = table[name]
        about["fit and restore, of the network"] = (about["fit"] + about["restore"]) / about[
            "network"
        ]
    return {"engine": engine.name, "cpu_ms": table}


def _steps(path: Path, engine: Engine, out: Path) -> dict[str, float]:
    """CPU seconds of each step of one film."""
    card, taken = engine.card, {}

    def step(name: str, call: Callable[[], Any]) -> Any:
        began = time.process_time()
        made = call()
        taken[name] = time.process_time() - began
        return made

    film = step("decode", lambda: read_radiograph(path))
    frame = Frame(*film.size, card.side)
    square = step("fit", lambda: normalise(frame.fit(film.pixels)))
    small = step("network", lambda: engine.predict(square[np.newaxis]))[0]
    maps = ProbabilityMaps(small, frame)
    needed = [*check_definition(card.channels, "field"), *({"heart"} & set(card.channels))]
    step("restore", lambda: [maps.above(card.channels.index(c), THRESHOLD) for c in needed])
    lungs = step("clean", lambda: clean(maps, card.channels))
    taken["clean"] -= taken["restore"]  # which is a part of it
    step("judge", lambda: judge_masks(maps, lungs, card, definition="field"))
    result = Segmenter(engine)(film)
    step("write", lambda: write_outputs(result, out))
    step("overlay, PNG", lambda: write_outputs(result, out, ["overlay"]))
    step("overlay, JPEG", lambda: write_outputs(result, out, ["overlay-jpeg"]))
    return taken
