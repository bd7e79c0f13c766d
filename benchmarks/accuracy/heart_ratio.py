"""How far the shipped networks agree on the cardiothoracic ratio, and how many films keep it.

    python -m benchmarks.accuracy.heart_ratio DATA --lungs whole -o heart_ratio.json

Both shipped networks, the usual one and that of `--fast`, segment the films of every set under DATA
that are not of split test (`--split test` takes those, to report and never to choose by). For each
set it prints the share of films that keep their ratio in both, and how often the two ratios differ
by more than 0.1, before and after films are left out. `limit` is the largest
`Features.ratio_range`, in hundredths, at which in no set more than 2 % of the films that keep
their ratio differ so: the value for `pleura.core.quality.verdict.MAX_RATIO_RANGE`. Run it again
for new weights.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pleura.core.arrays import Definition
from pleura.core.errors import FilmError
from pleura.core.masks.measure import transverse_widths
from pleura.core.quality.features import measure_features
from pleura.core.quality.verdict import MAX_RATIO_RANGE
from pleura.core.types import Segmentation
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.runtime.open import Choice, open_weights
from pleura.runtime.segmenter import Segmenter

APART = 0.1
"""Two ratios that differ by more than this disagree."""

WANTED = 0.02
"""The largest share of films that disagree, of those that keep their ratio."""

FEWEST = 20
"""The smallest set to choose a limit on."""


@dataclass(frozen=True, slots=True)
class HeartRatio:
    """A film's ratio by one network, whether it is given or not."""

    ratio: float | None
    spread: float | None
    is_refused: bool

    def keeps(self, limit: float) -> bool:
        """Whether the ratio is given with this limit of the spread."""
        known = self.ratio is not None and self.spread is not None and not self.is_refused
        return known and (self.spread or 0.0) <= limit


Ratios = tuple[HeartRatio, HeartRatio]
"""Of one film, by the usual network and by that of `--fast`."""


def measure_ratio(segmentation: Segmentation) -> HeartRatio:
    """The ratio, measured whether or not it is doubtful."""
    widths = transverse_widths(segmentation.right, segmentation.left, segmentation.heart)
    definition = segmentation.provenance.definition
    features = measure_features(
        segmentation.probabilities,
        segmentation.lungs,
        segmentation.channels,
        definition=definition,
    )
    ratio = None if widths is None else widths[0].pixels / widths[1].pixels
    return HeartRatio(ratio, features.ratio_range, segmentation.quality.verdict == "refused")


def figures(pairs: Sequence[Ratios], limit: float) -> dict[str, Any]:
    """Of films that have a ratio by both networks: how many keep it, how many disagree."""
    known = [(a, b) for a, b in pairs if a.ratio is not None and b.ratio is not None]
    kept = [(a, b) for a, b in known if a.keeps(limit) and b.keeps(limit)]
    return {
        "films": len(pairs),
        "left_empty": 1 - sum(a.keeps(limit) for a, _ in pairs) / len(pairs),
        "left_empty_fast": 1 - sum(b.keeps(limit) for _, b in pairs) / len(pairs),
        "kept_by_both": len(kept),
        "disagree_all": disagreeing(known),
        "disagree_kept": disagreeing(kept),
    }


def disagreeing(pairs: Sequence[Ratios]) -> float | None:
    """The share of films whose ratios differ by more than `APART`."""
    if not pairs:
        return None
    return sum(abs((a.ratio or 0.0) - (b.ratio or 0.0)) > APART for a, b in pairs) / len(pairs)


def best_limit(sets: dict[str, list[Ratios]]) -> float | None:
    """The largest limit with which no set disagrees more than `WANTED`; None if there is none."""
    large = [pairs for pairs in sets.values() if len(pairs) >= FEWEST]
    for limit in np.arange(50, 0, -1) / 100:
        shares = [figures(pairs, float(limit))["disagree_kept"] for pairs in large]
        if all(share is None or share <= WANTED for share in shares):
            return float(limit)
    return None


def measure_set(films: Sequence[Film], segmenters: Sequence[Segmenter]) -> list[Ratios]:
    """Both networks' ratios of every film that can be segmented."""
    pairs = []
    for film in films:
        try:
            radiograph = film.read_image()
            usual, fast = (measure_ratio(segmenter(radiograph)) for segmenter in segmenters)
        except FilmError:
            continue
        pairs.append((usual, fast))
    return pairs


def main() -> None:
    """Print the table, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a folder of sets, each with a manifest.csv")
    parser.add_argument("-o", "--out", type=Path, help="the JSON file to write")
    parser.add_argument("--split", choices=["train", "test"], default="train")
    parser.add_argument("--every", type=int, default=1, help="take every n-th film of a set")
    parser.add_argument("--lungs", choices=["field", "whole"], default="field")
    asked = parser.parse_args()
    definition: Definition = asked.lungs
    engines = [open_weights(choice=Choice(fast=fast)) for fast in (False, True)]
    segmenters = [Segmenter(engine, definition=definition) for engine in engines]
    wanted = ("test",) if asked.split == "test" else ("train", "val")
    sets = {}
    for table in sorted(asked.data.glob("*/manifest.csv")):
        films = [film for film in read_films(table.parent) if film.split in wanted]
        if films:
            sets[table.parent.name] = measure_set(films[:: asked.every], segmenters)
    shown = {name: figures(pairs, MAX_RATIO_RANGE) for name, pairs in sets.items() if pairs}
    print("| set | films | left empty | `--fast` | differ by > 0.1, all | of those that keep it |")
    print("|---|---|---|---|---|---|")
    for name, row in shown.items():
        shares = [row[key] for key in list(row)[1:3]] + [row["disagree_all"], row["disagree_kept"]]
        cells = ["-" if share is None else f"{share:.1%}" for share in shares]
        print(f"| {name} | {row['films']} | {' | '.join(cells)} |")
    result = {
        "split": asked.split,
        "lungs": asked.lungs,
        "every": asked.every,
        "limit_used": MAX_RATIO_RANGE,
        "limit": best_limit(sets) if asked.split == "train" else None,
        "weights": [engine.weights_sha256 for engine in engines],
        "sets": shown,
        "films": {name: [[asdict(a), asdict(b)] for a, b in pairs] for name, pairs in sets.items()},
    }
    print(f"limit: {result['limit']}, in use: {MAX_RATIO_RANGE}")
    if asked.out is not None:
        with atomic_write(asked.out, "w") as file:
            file.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
