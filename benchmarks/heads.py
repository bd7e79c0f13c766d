"""Head x side -> Dice, HD95, time: what `--fast` is chosen by.

    python benchmarks/heads.py src/pleura/weights/pleura.safetensors --data FILMS [--data ...]

Films of split `val`, never test. Each network is exported, opened and judged as `pleura evaluate`
does it; the times are of the network alone, the networks in turn, the least of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from bench_parts import interleaved, machine, write_result

from pleura.lab.evaluation import Trial, choose, judge_films
from pleura.lab.judge import Judge, Row
from pleura.lab.outcome import Cut, export_checkpoint
from pleura.net.checkpoint import from_safetensors
from pleura.net.unetplusplus import UNetPlusPlus
from pleura.runtime.engine import OnnxEngine


def main() -> None:
    options = _options()
    network, card = from_safetensors(options.weights)
    if not isinstance(network, UNetPlusPlus):
        raise SystemExit("only a UNet++ has heads")
    engines: dict[tuple[int, int], OnnxEngine] = {}
    with tempfile.TemporaryDirectory() as folder:
        for head in (int(name) for name in network.head):
            for side in options.side or (card.side, card.side // 2):
                cut = Cut(head=head, side=side)
                path = export_checkpoint(
                    options.weights, Path(folder), name=f"L{head}-{side}", cut=cut
                )
                engines[head, side] = OnnxEngine(path.read_bytes(), threads=options.threads)
    rows = {key: _judged(engine, options) for key, engine in engines.items()}
    calls = {
        key: lambda engine=engine: engine.predict(_square(engine))
        for key, engine in engines.items()
    }
    times = interleaved(calls, rounds=options.rounds)
    table = [
        {"head": f"L{head}", "side": side, **rows[head, side], "ms": 1e3 * min(times[head, side])}
        for head, side in engines
    ]
    whole = table[-1 if not options.side else 0]
    result = {"machine": machine(options.threads), "table": table, "whole": whole}
    print(write_result("heads", result))
    print("| head | side | films | Dice | worst | HD95 px | ms |\n|---|---|---|---|---|---|---|")
    for each in table:
        print(
            f"| {each['head']} | {each['side']} | {each['films']} | {each['dice']:.4f} "
            f"| {each['worst']:.4f} | {each['hd95_px']:.1f} | {each['ms']:.0f} |"
        )


def _judged(engine: OnnxEngine, options: argparse.Namespace) -> dict[str, float]:
    trial = Trial(
        data=tuple(options.data), split="val", layout="manifest", limit=options.limit, seed=0
    )
    found: list[Row] = [
        row
        for row in judge_films(choose(trial), Judge(engine)).rows
        if row.structure == "lungs" and row.comparable
    ]
    dice = [row.scores.dice for row in found if row.scores.dice is not None]
    hd95 = [row.scores.hd95_px for row in found if row.scores.hd95_px is not None]
    return {
        "films": len(dice),
        "dice": statistics.fmean(dice),
        "worst": min(dice),
        "hd95_px": statistics.fmean(hd95),
    }


def _square(engine: OnnxEngine) -> np.ndarray:
    side = engine.card.side
    return np.random.default_rng(0).random((1, 1, side, side), dtype=np.float32)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--side", type=int, action="append")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
