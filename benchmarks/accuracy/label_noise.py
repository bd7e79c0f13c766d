"""How many drawn masks of the lung field include the heart, and how that changes the mean Dice.

    python -m benchmarks.accuracy.label_noise --data FILMS/shenzhen_montgomery --data FILMS/jsrt

By definition the heart is not part of the lung field. The program measures, for each film, which
share of the heart (as the shipped weights find it) lies under the drawn mask. Masks that follow the
definition (JSRT, Montgomery) cover almost none of it. A mask that covers more than `INCLUDED` of
the heart includes it. Writes benchmarks/results/label_noise.json: for each source and split the
number of such masks, and the mean Dice of these films and of the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.judge import add_film_options, films_of
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import Film
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.metrics import overlap
from pleura.runtime.open import open_weights

RESULT = Path("benchmarks/results/label_noise.json")
"""The program is run from the checkout."""

INCLUDED = 0.25
"""Share of the heart under a mask; no mask of Montgomery or JSRT covers as much."""

Record = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_film_options(parser)
    options = parser.parse_args()
    engine = open_weights()
    judge = Evaluator(engine)
    films = [
        {"id": film.id, "source": film.source, "split": film.split, **_scores(film, judge)}
        for film in films_of(options, "all")
        if not any(channel.endswith("whole") for channel in film.channels)
    ]
    table = list(_table(films))
    result = {"weights_sha256": engine.weights_sha256, "taken": INCLUDED, "table": table}
    with atomic_write(RESULT, "w") as file:
        file.write(json.dumps(result, indent=1) + "\n")
    for row in table:
        print(" | ".join(f"{name} {value}" for name, value in row.items()))
    print(RESULT)


def _scores(film: Film, judge: Evaluator) -> Record:
    """Dice of the lungs, and the share of the predicted heart that lies under the drawn lungs."""
    examined = judge.examine(film)
    lungs = next(pair for pair in examined.pairs if pair.structure == "lungs")
    heart = examined.segmentation.heart
    if heart is None or not heart.any() or heart.shape != lungs.truth.shape:
        return {"dice": overlap(lungs.predicted, lungs.truth), "share": None}
    share = np.count_nonzero(heart & lungs.truth) / np.count_nonzero(heart)
    return {"dice": overlap(lungs.predicted, lungs.truth), "share": float(share)}


def _table(films: list[Record]) -> Any:
    """A row for each source and split."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for film in films:
        groups[film["source"], film["split"]].append(film)
    for (source, split), group in groups.items():
        shares = [film["share"] for film in group if film["share"] is not None]
        taken = [film for film in group if film["share"] is not None and film["share"] > INCLUDED]
        others = [film for film in group if film not in taken]
        yield {
            "source": source,
            "split": split,
            "films": len(group),
            "median_share": round(statistics.median(shares), 4),
            "largest_share": round(max(shares), 4),
            "taken_in": len(taken),
            "dice": _mean(group),
            "dice_taken_in": _mean(taken),
            "dice_others": _mean(others),
            "under_0.90": sum(film["dice"] < 0.9 for film in group),
            "under_0.90_others": sum(film["dice"] < 0.9 for film in others),
        }


def _mean(films: list[Record]) -> float | None:
    return round(statistics.fmean(film["dice"] for film in films), 4) if films else None


if __name__ == "__main__":
    main()
