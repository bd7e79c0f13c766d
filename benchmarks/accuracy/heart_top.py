"""Dice of hearts with and without the part where definitions of the heart differ: its top.

    python -m benchmarks.accuracy.heart_top --data FILMS/wingspan --data FILMS/jsrt512

Pleura's heart is that of JSRT (SCR): cut flat at the top. Other masks rise to a point there, such
as those of Wingspan, and training takes the upper part of these as unknown (`pointed_hearts` in a
recipe). Dice as drawn counts the difference of definition as an error. Dice `below the top` leaves
out the pixels that such training leaves out, for every set alike; the set of JSRT is the control.

The films are those of `--split` (by default `test`, to report), and the weights are the shipped
ones. Each film is segmented by the shipped path at its own size.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np

from benchmarks.accuracy.judge import add_film_options, films_of
from pleura.core.arrays import Mask
from pleura.lab.data.film import Labels
from pleura.lab.data.weak_labels import mark_heart_tops_unknown
from pleura.lab.evaluate.case import Evaluator, Pair
from pleura.lab.evaluate.metrics import score
from pleura.runtime.open import Choice, open_weights

CHANNELS = ("right_field", "left_field", "heart")


def main() -> None:
    """Print the table."""
    options = _options()
    judge = Evaluator(open_weights(choice=Choice(fast=options.fast, threads=options.threads)))
    values: dict[str, list[tuple[float, float]]] = {}
    for film in films_of(options, options.split):
        if set(CHANNELS) <= film.channels:
            counted = ~heart_top(film.read_labels())
            pair = next(p for p in judge.examine(film).pairs if p.structure == "heart")
            values.setdefault(film.source, []).append((_dice(pair), _dice(pair, counted)))
    print("| set | films | Dice as drawn | under 0.90 | Dice below the top | under 0.90 |")
    print("|---|---|---|---|---|---|")
    for source, pairs in sorted(values.items()):
        cells = [
            f"{statistics.fmean(dices):.3f} | {sum(d < 0.9 for d in dices) / len(dices):.1%}"
            for dices in zip(*pairs, strict=True)
        ]
        print(f"| {source} | {len(pairs)} | {' | '.join(cells)} |")


def heart_top(labels: Labels) -> Mask:
    """(H, W): the pixels of the heart's channel that training with `pointed_hearts` leaves out or
    changes."""
    state: Any = np.stack([labels.targets[name] for name in CHANNELS]).astype(np.uint8)
    changed: Mask = (mark_heart_tops_unknown(state, CHANNELS) != state)[CHANNELS.index("heart")]
    return changed


def _dice(pair: Pair, counted: Mask | None = None) -> float:
    masks = (pair.predicted, pair.truth)
    if counted is not None:
        masks = (masks[0] & counted, masks[1] & counted)
    return score(*masks).dice or 0.0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_film_options(parser)
    parser.add_argument("--split", default="test")
    parser.add_argument("--fast", action="store_true", help="the weights of --fast")
    return parser.parse_args()


if __name__ == "__main__":
    main()
