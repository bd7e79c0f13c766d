"""Dice, HD95 and time of each head at each side: the table that `--fast` is chosen from.

    python -m benchmarks.speed.heads WEIGHTS.onnx [MORE ...] --data FILMS [--data ...]

The films are those of the validation split of training, never test films. Each film is read once
and given to every network. The first weights are the reference; the others are compared with them.
Each network is cut at a head, exported, opened and evaluated as by `pleura evaluate`. Times are of
the network alone, in fp32: the networks run in turn, and the least time of the rounds counts. The
result names the network with the highest Dice among those that are at least 3 times as fast as the
reference; `pleura export --head --side` makes it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.judge import add_film_options, judged, validation_films
from benchmarks.speed.measure import interleaved, machine, write_result
from benchmarks.speed.tables import write_tables
from pleura.lab.evaluate.metrics import Scores, score
from pleura.lab.train.export import ExportPart, export_checkpoint
from pleura.net.checkpoint import read_network
from pleura.net.unetplusplus import UNetPlusPlus
from pleura.runtime.engine import OnnxEngine

SIDES = (224, 256, 288, 320, 384, 448, 512)
FASTER = 3.0
"""What `--fast` is to be, times."""

Key = tuple[str, int, int]
"""Name of the weights, head, side."""


def main() -> None:
    options = _options()
    engines = _engines(options)
    scores: dict[Key, list[Scores]] = {key: [] for key in engines}
    for _, pairs in judged(validation_films(options), engines):
        for key, pair in pairs.items():
            scores[key].append(score(pair.predicted, pair.truth))
    calls = {
        key: lambda engine=engine: engine.predict(_square(engine))
        for key, engine in engines.items()
    }
    times = interleaved(calls, rounds=options.rounds)
    table = [_row(key, scores[key], min(times[key])) for key in engines]
    network, card = read_network(options.weights[0])
    shipped = options.weights[0].stem, f"L{network.architecture.levels}", card.side
    whole = next(row for row in table if (row["weights"], row["head"], row["side"]) == shipped)
    for row in table:
        row["times_as_fast"] = whole["ms"] / row["ms"]
        row["lower"] = whole["dice"] - row["dice"]
    quick = [row for row in table if row["times_as_fast"] >= FASTER]
    best = max(quick, key=lambda row: row["dice"], default=None)
    result = {"machine": machine(options.threads), "table": table, "whole": whole, "fast": best}
    print(write_result("heads", result))
    print(write_tables())


def _engines(options: argparse.Namespace) -> dict[Key, OnnxEngine]:
    """Of all weights in turn, by head and side."""
    engines = {}
    with tempfile.TemporaryDirectory() as folder:
        for weights in options.weights:
            network, _ = read_network(weights)
            if not isinstance(network, UNetPlusPlus):
                raise SystemExit(f"{weights}: only a UNet++ has heads")
            for head in sorted(int(name) for name in network.head):
                stride = network.pruned(head).architecture.stride
                for side in (s for s in options.side or SIDES if s % stride == 0):
                    part, name = ExportPart(head=head, side=side), f"{weights.stem}-L{head}-{side}"
                    path = export_checkpoint(weights, Path(folder), name=name, part=part)
                    engine = OnnxEngine(path.read_bytes(), threads=options.threads)
                    engines[weights.stem, head, side] = engine
    return engines


def _row(key: Key, scores: list[Scores], seconds: float) -> dict[str, Any]:
    dice = [film.dice for film in scores if film.dice is not None]
    hd95 = [film.hd95_px for film in scores if film.hd95_px is not None]
    return {
        "weights": key[0],
        "head": f"L{key[1]}",
        "side": key[2],
        "films": len(dice),
        "dice": statistics.fmean(dice),
        "worst": min(dice),
        "hd95_px": statistics.fmean(hd95),
        "ms": 1e3 * seconds,
    }


def _square(engine: OnnxEngine) -> np.ndarray:
    side = engine.card.side
    return np.random.default_rng(0).random((1, 1, side, side), dtype=np.float32)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+")
    add_film_options(parser)
    parser.add_argument("--side", type=int, action="append", help=f"by default {SIDES}")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
