"""How smooth and how exact the outlines are: teeth, surface Dice and HD95 at 1024 px.

    python -m benchmarks.accuracy.outlines WEIGHTS.onnx [MORE ...] --data FILMS [--data ...]

The films are those of the validation split of training, never test films, resized to a longer side
of 1024 px. Each film is read once and segmented with every network by the shipped path. For the
right lung, the left lung and the heart the table has

- `surface_dice`: the share of both boundaries that lies within 2 px of the other one;
- `hd95_px`: the 95 % Hausdorff distance;
- `runs`: the mean number of runs of mask pixels in a row of the mask. Teeth at a border that runs
  across give extra runs. `runs_drawn` is the same of the drawn masks;
- `roughness`: the length of the outline divided by its length after a Gaussian filter of 4 px, less
  1. A smooth outline has about 0. `roughness_drawn` is the same of the drawn masks.

Writes benchmarks/results/outlines.json and prints the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.accuracy.judge import add_film_options, validation_films
from pleura.core.arrays import Mask
from pleura.core.masks.contours import outlines
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import Film
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.metrics import score
from pleura.lab.evaluate.perturbation import Perturbation, longer_side
from pleura.lab.evaluate.robustness import PerturbedFilm
from pleura.runtime.engine import OnnxEngine

RESULT = Path("benchmarks/results/outlines.json")
"""The program is run from the checkout."""

SIDE = 1024
FILTER_PX = 4.0
STRUCTURES = ("right", "left", "heart")

RESIZED = Perturbation(
    name="resized", title=f"longer side {SIDE} px", resize=partial(longer_side, to=SIDE)
)

Numbers = dict[str, float]


def main() -> None:
    options = _options()
    judges = {
        path.stem: Evaluator(OnnxEngine(path.read_bytes(), threads=options.threads))
        for path in options.weights
    }
    rows: dict[tuple[str, str, str], list[Numbers]] = defaultdict(list)
    for film in validation_films(options):
        for weights, judge in judges.items():
            for structure, numbers in _film_rows(film, judge):
                rows[weights, film.source, structure].append(numbers)
    table = [
        {"weights": weights, "source": source, "structure": structure, "films": len(films)}
        | {name: round(statistics.fmean(f[name] for f in films), 4) for name in films[0]}
        for (weights, source, structure), films in sorted(rows.items())
    ]
    with atomic_write(RESULT, "w") as file:
        file.write(json.dumps({"side": SIDE, "table": table}, indent=1) + "\n")
    for row in table:
        print(" | ".join(str(value) for value in row.values()))
    print(RESULT)


def _film_rows(film: Film, judge: Evaluator) -> Iterator[tuple[str, Numbers]]:
    """The numbers of every structure that the film labels by the predicted definition."""
    known = {name: getattr(film, name) for name in Film.__dataclass_fields__}
    resized = PerturbedFilm(
        **known, radiograph=film.read_image(), truth=film.read_labels(), effect=RESIZED
    )
    examined = judge.examine(resized)
    for pair in examined.pairs:
        same = examined.definition == examined.predicted_definition or pair.structure == "heart"
        if pair.structure in STRUCTURES and same and pair.truth.any() and pair.predicted.any():
            yield pair.structure, _numbers(pair.predicted, pair.truth)


def _numbers(predicted: Mask, drawn: Mask) -> Numbers:
    scores = score(predicted, drawn)
    return {
        "dice": scores.dice or 0.0,
        "surface_dice": scores.surface_dice_2px or 0.0,
        "hd95_px": scores.hd95_px or 0.0,
        "runs": _runs(predicted),
        "runs_drawn": _runs(drawn),
        "roughness": roughness(predicted),
        "roughness_drawn": roughness(drawn),
    }


def _runs(mask: Mask) -> float:
    """The mean number of runs in a row that has any."""
    starts = np.diff(mask.astype(np.int8), axis=1, prepend=0) == 1
    counts = starts.sum(axis=1)
    return float(counts[counts > 0].mean())


def roughness(mask: Mask) -> float:
    """The length of the outlines over that after a Gaussian filter of `FILTER_PX`, less 1."""
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), FILTER_PX) >= 0.5
    return _length(mask) / _length(smooth) - 1 if smooth.any() else 0.0


def _length(mask: Mask) -> float:
    """The length of all outlines, px, through the middles of their edges."""
    total = 0.0
    for corners in outlines(mask):
        steps = np.diff(np.vstack([corners, corners[:1]]), axis=0)
        # Unit steps along the pixels' edges; the middles of successive edges are joined.
        count = np.abs(steps).sum(axis=1).astype(int)
        directions = np.repeat(np.sign(steps), count, axis=0)
        middles = (directions + np.roll(directions, -1, axis=0)) / 2
        total += float(np.hypot(middles[:, 0], middles[:, 1]).sum())
    return total


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+")
    add_film_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
