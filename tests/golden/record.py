"""What the shipped weights answer on fixed films; run as a script, it writes `recorded.json`.

    python tests/golden/record.py FILMS

Record again only with new weights, in the same commit.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import numpy as np

from pleura.core.arrays import Definition, Mask
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.phantom.film import draw
from pleura.runtime.open import open_weights
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
        result = segmenter()(draw(seed=seed).radiograph)
        areas[str(seed)] = [int(result.right.sum()), int(result.left.sum())]
    return areas


def film_dice(root: Path) -> dict[str, float]:
    """Id -> Dice of both lungs against the film's mask, at its size."""
    return {film.id: _dice(film) for film in _chosen(root)}


def phantom_hearts() -> dict[str, float]:
    """Seed -> Dice of the heart against the drawn one."""
    drawn = {str(seed): draw(seed=seed) for seed in PHANTOM_SEEDS}
    return {
        seed: _overlap(film.heart, segmenter()(film.radiograph).heart)
        for seed, film in drawn.items()
    }


def hearts_between(root: Path) -> dict[str, float]:
    """Id -> share that is heart of what lies between the lungs, at 0.72 of their common height.

    For films whose hearts nobody drew: on those of JSRT, where somebody did, it is 0.99 or more.
    """
    return {film.id: _between(film) for film in _chosen(root) if film.source != "jsrt"}


def _between(film: Film) -> float:
    result = segmenter()(film.read_image())
    rows = [np.flatnonzero(lung.any(axis=1)) for lung in (result.right, result.left)]
    top, bottom = max(row[0] for row in rows), min(row[-1] for row in rows)
    row = round(top + 0.72 * (bottom - top))
    begin, end = np.flatnonzero(result.right[row])[-1] + 1, np.flatnonzero(result.left[row])[0]
    return float(result.heart[row, begin:end].mean())


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
    mask = segmenter(definition)(film.read_image()).mask
    return _overlap(truth, mask)


def _overlap(one: Mask, other: Mask) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


if __name__ == "__main__":
    record = {
        "phantom_areas_px": phantom_areas(),
        "phantom_hearts": phantom_hearts(),
        "film_dice": film_dice(Path(sys.argv[1])),
        "hearts_between": hearts_between(Path(sys.argv[1])),
    }
    RECORDED.write_text(json.dumps(record, indent=1) + "\n")
