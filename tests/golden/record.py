"""What the shipped weights answer on fixed films; run as a script, it writes `recorded.json`.

    python tests/golden/record.py FILMS

Record anew only with new weights, in the same commit.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np

from pleura.core.phantom import draw
from pleura.core.types import Definition
from pleura.lab.films import Film
from pleura.lab.layouts import read_films
from pleura.runtime.engines import open_weights
from pleura.runtime.segmenter import Segmenter

RECORDED = Path(__file__).with_name("recorded.json")
PHANTOM_SEEDS = (0, 1, 2)
SOURCES = {"shenzhen_montgomery": 4, "jsrt": 2, "covid": 2, "pediatric": 2}
"""Films taken of each set: spread evenly over those that the weights never saw."""


@cache
def segmenter(definition: Definition = "field") -> Segmenter:
    """The shipped weights, opened once for each definition."""
    return Segmenter(open_weights(), definition=definition)


def phantom_areas() -> dict[str, list[int]]:
    """Seed -> pixels of the right and of the left lung."""
    areas = {}
    for seed in PHANTOM_SEEDS:
        found = segmenter()(draw(seed=seed).radiograph)
        areas[str(seed)] = [int(found.right.sum()), int(found.left.sum())]
    return areas


def film_dice(root: Path) -> dict[str, float]:
    """Id -> Dice of both lungs against the film's mask, at its size."""
    return {film.id: _dice(film) for film in _chosen(root)}


def _chosen(root: Path) -> list[Film]:
    chosen: list[Film] = []
    for source, count in SOURCES.items():
        films = [film for film in read_films(root / source) if film.channels]
        unseen = [film for film in films if film.split == "test"] or films
        chosen += unseen[:: len(unseen) // count][:count]
    return chosen


def _dice(film: Film) -> float:
    labelled = film.read_labels().targets
    definition: Definition = "whole" if "whole" in labelled else "field"
    lungs = [mask for channel, mask in labelled.items() if channel.endswith(definition)]
    truth = np.logical_or.reduce(lungs)
    found = segmenter(definition)(film.read_image()).mask
    return float(2 * (truth & found).sum() / (truth.sum() + found.sum()))


if __name__ == "__main__":
    record = {"phantom_areas_px": phantom_areas(), "film_dice": film_dice(Path(sys.argv[1]))}
    RECORDED.write_text(json.dumps(record, indent=1) + "\n")
