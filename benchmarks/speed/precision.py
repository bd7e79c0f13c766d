"""Dice of int8 compared with fp32, and of `--fast` with the full network, on the test splits.

    python -m benchmarks.speed.precision --data FILMS/shenzhen_montgomery --data FILMS/jsrt ...

Dice of both lungs at the masks' own size, by the definition that each film labels, with the
shipped weights. Each film is read once and given to every graph. Writes
benchmarks/results/speed/precision.json: for each pair of graphs and each source the mean
difference, its 95 % interval (bootstrap over patients), and the worst film.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from benchmarks.accuracy.judge import add_film_options, films_of, judged
from benchmarks.speed.measure import machine, write_result
from benchmarks.speed.tables import write_tables
from pleura.lab.evaluate.metrics import overlap
from pleura.lab.evaluate.statistics import mean_interval
from pleura.runtime.open import Choice, open_weights

GRAPHS = {
    "fp32": Choice(precision="fp32"),
    "int8": Choice(precision="int8"),
    "fp32 --fast": Choice(precision="fp32", fast=True),
    "int8 --fast": Choice(precision="int8", fast=True),
}
PAIRS = (("int8", "fp32"), ("int8 --fast", "int8"), ("fp32 --fast", "fp32"))
"""The first is compared with the second."""

Record = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_film_options(parser)
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    engines = {
        name: open_weights(choice=Choice(**_with_threads(choice, options.threads)))
        for name, choice in GRAPHS.items()
    }
    films = []
    for film, results in judged(films_of(options, options.split), engines):
        dice = {name: overlap(pair.predicted, pair.truth) for name, pair in results.items()}
        if None not in dice.values():
            patient = f"{film.source}/{film.patient or film.id}"
            films.append({"id": film.id, "source": film.source, "patient": patient, **dice})
    result = {
        "machine": machine(options.threads),
        "weights_sha256": {name: engine.weights_sha256 for name, engine in engines.items()},
        "split": options.split,
        "limit": options.limit,
        "table": _table(films),
    }
    print(write_result("precision", result))
    print(write_tables())


def _with_threads(choice: Choice, threads: int | None) -> Record:
    return {"precision": choice.precision, "fast": choice.fast, "threads": threads}


def _table(films: list[Record]) -> list[Record]:
    """A row for each pair of graphs and each source, all of them first."""
    sources = sorted({film["source"] for film in films})
    groups = {"all": films} | {
        source: [film for film in films if film["source"] == source] for source in sources
    }
    return [
        {"graph": mine, "against": other, "source": source, **_difference(group, mine, other)}
        for mine, other in PAIRS
        for source, group in groups.items()
    ]


def _difference(films: list[Record], mine: str, other: str) -> Record:
    changes = [film[mine] - film[other] for film in films]
    worst = min(zip(changes, films, strict=True), key=lambda pair: pair[0])
    return {
        "films": len(films),
        "dice": statistics.fmean(film[mine] for film in films),
        "dice_against": statistics.fmean(film[other] for film in films),
        "difference": statistics.fmean(changes),
        "interval": mean_interval(changes, [film["patient"] for film in films], seed=0),
        "worst": worst[0],
        "worst_film": worst[1]["id"],
        "films_lower_by_0.005": sum(change < -0.005 for change in changes),
    }


if __name__ == "__main__":
    main()
