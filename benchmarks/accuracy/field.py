"""Lung fields on films whose drawn masks are whole lungs: sick lungs (COVID) and children.

    python -m benchmarks.accuracy.field WEIGHTS.onnx [MORE ...] --data FILMS [--data ...]

No public mask shows the lung field of these films. But a field lies inside the whole lung, and both
share the outer border along the ribs, so a drawn whole lung tests three properties of a field:

- `outside`: the share of the field that lies outside the drawn lungs; wanted: 0;
- `inside`: how far the field's outer border lies inside the drawn one, in the rows that both have,
  mean over rows, in percent of the chest's width. An opaque base that is left out gives a large
  value. Negative values lie outside the drawn lung;
- `far_inside`: the share of those rows in which it lies more than 5 % of that width inside;
- `roughness`: as in `benchmarks.accuracy.outlines`.

Each is measured for the predicted whole lungs too (`whole`): an error that both have is not the
field's own. The films are those of `--split` (by default `test`, to report). Every film is
segmented by the shipped path at its own size.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.judge import Held, add_film_options, films_of
from benchmarks.accuracy.outlines import roughness
from pleura.core.arrays import Definition, Mask
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import Film
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.segmenter import Segmenter

FAR = 0.05
"""A border that lies farther inside, in widths of the chest, is far inside."""

DEFINITIONS: tuple[Definition, ...] = ("field", "whole")

Numbers = dict[str, float]


def main() -> None:
    """Print the table, and write the JSON file if one is named."""
    options = _options()
    engines = {
        path.stem: OnnxEngine(path.read_bytes(), threads=options.threads)
        for path in options.weights
    }
    segmenters = {
        (name, definition): Segmenter(engine, definition=definition)
        for name, engine in engines.items()
        for definition in DEFINITIONS
    }
    rows: dict[tuple[str, str, str], list[Numbers]] = defaultdict(list)
    for film in films_of(options, options.split):
        if film.channels & {"whole", "left_whole", "right_whole"}:
            held: Any = Held(film)
            for (name, definition), segmenter in segmenters.items():
                rows[film.source, name, definition].append(_numbers(held, segmenter))
    table = [
        {"source": source, "weights": name, "outline": definition, "films": len(films)}
        | {key: round(statistics.fmean(f[key] for f in films), 4) for key in films[0]}
        for (source, name, definition), films in sorted(rows.items())
    ]
    print("| set | weights | outline | films | outside | inside | far inside | roughness |")
    print("|---|---|---|---|---|---|---|---|")
    for row in table:
        print(
            f"| {row['source']} | {row['weights']} | {row['outline']} | {row['films']} "
            f"| {row['outside']:.1%} | {row['inside']:.1%} | {row['far_inside']:.1%} "
            f"| {row['roughness']:.3f} |"
        )
    if options.out is not None:
        with atomic_write(options.out, "w") as file:
            file.write(json.dumps({"split": options.split, "table": table}, indent=1) + "\n")


def _numbers(film: Film, segmenter: Segmenter) -> Numbers:
    """The numbers of both lungs of a film, as `segmenter` finds them."""
    labels, result = film.read_labels(), segmenter(film.read_image())
    drawn = labels.targets["whole"]
    counted = np.ones_like(drawn) if labels.ignore is None else ~labels.ignore
    mask = result.mask & counted
    steps = border_steps(mask, drawn & counted)
    area = int(np.count_nonzero(mask))
    return {
        "outside": float(np.count_nonzero(mask & ~drawn) / area) if area else 0.0,
        "inside": float(steps.mean()) if steps.size else 0.0,
        "far_inside": float((steps > FAR).mean()) if steps.size else 0.0,
        "roughness": (roughness(result.right) + roughness(result.left)) / 2,
    }


def border_steps(predicted: Mask, drawn: Mask) -> NDArray[np.float64]:
    """How far both outer borders of `predicted` lie inside those of `drawn`, in chest widths.

    The chest's width is the widest row of `drawn`. Two values for each row that both masks have.
    """
    rows = predicted.any(axis=1) & drawn.any(axis=1)
    if not rows.any():
        return np.empty(0)
    width = predicted.shape[1]
    firsts = [mask[rows].argmax(axis=1) for mask in (predicted, drawn)]
    lasts = [width - mask[rows, ::-1].argmax(axis=1) for mask in (predicted, drawn)]
    chest = int((lasts[1] - firsts[1]).max())
    steps: NDArray[np.float64] = (
        np.concatenate([firsts[0] - firsts[1], lasts[1] - lasts[0]]) / chest
    )
    return steps


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, nargs="+")
    add_film_options(parser)
    parser.add_argument("--split", default="test")
    parser.add_argument("-o", "--out", type=Path, help="the JSON file to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()
