"""The benchmark of accuracy: every data set of a folder is scored, and the results are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pleura.core.card import Card
from pleura.core.errors import DataError
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import with_masks
from pleura.lab.data.findings import ERRORS
from pleura.lab.data.labels import labelled_channels
from pleura.lab.data.layouts import read_films
from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.evaluation import EvaluationSettings, read_rows
from pleura.lab.report.calibration import calibrate
from pleura.lab.report.evaluation import evaluate
from pleura.lab.report.robustness import robustness
from pleura.runtime.engine import Engine

__all__ = ["Bench", "run_bench"]

WORST = 10
"""The number of worst films of each source that a result lists."""

FAR_OFF_AREA = 0.1
"""The area error beyond which the reason of a poor score is too much or too little lung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The data sets and the options of a bench run."""

    root: Path
    """The folder of the data sets, which are its folders with a manifest.csv."""

    splits: tuple[str, ...] = ("test",)
    perturbed: int = 0
    """The number of films of each test split to score under perturbations; 0 for none."""

    bare: bool = False
    """Whether each split is scored without clean-up too."""

    calibrated: bool = False
    """Whether each set is calibrated that has films of split test, and films of split val whose
    masks label a channel of the weights."""

    seed: int = 0
    command: str = ""


def run_bench(
    bench: Bench,
    engine: Engine,
    results: Path,
    *,
    reports: Path,
    on_set: Callable[[str], None] = lambda _name: None,
) -> list[Path]:
    """Score every split of every set; returns the JSON files written into `results`.

    Reports with pictures of films are written into folders of `reports`; publish them only if the
    films may be published. The results have the ids of films, and no path of this machine. `on_set`
    is called with the name of each result when it begins.

    Raises:
        DataError: no set here has a film with a mask in one of these splits.
        WeightsError: the network gives invalid numbers.
    """
    jobs = [job for folder in _sets(bench.root) for job in _jobs(bench, folder, engine.card)]
    if not jobs:
        raise DataError(
            f"{bench.root}: no folder here has a manifest.csv with masks for films of "
            f"{', '.join(bench.splits)}; name the folder that holds the sets"
        )
    written = []
    for kind, settings in jobs:
        name = "_".join([settings.data[0].name, settings.split, *([kind] if kind else [])])
        on_set(name)
        result = _run(kind, settings, engine, reports / name)
        written.append(_write_result(result, bench.root, results / f"{name}.json"))
    return written


def _sets(root: Path) -> list[Path]:
    return sorted(table.parent for table in root.glob("*/manifest.csv"))


def _jobs(bench: Bench, folder: Path, card: Card) -> list[tuple[str, EvaluationSettings]]:
    """The jobs of a set: kind (`""` for scores) and settings."""
    films = with_masks(read_films(folder, layout="manifest"))
    splits_with_masks = {film.split for film in films}
    tunable = labelled_channels([film for film in films if film.split == "val"])

    def settings(split: str, **facts: Any) -> EvaluationSettings:
        # Published test films are scored as they are, also with a mask that `check` rejects.
        facts |= {"seed": bench.seed, "command": bench.command, "accepted": tuple(ERRORS)}
        return EvaluationSettings(data=(folder,), split=split, layout="manifest", **facts)

    splits = [split for split in bench.splits if split in splits_with_masks or split == "all"]
    jobs = [("", settings(split)) for split in splits]
    if bench.bare:
        jobs += [("bare", settings(split, cleaned=False)) for split in splits]
    if bench.perturbed and "test" in splits_with_masks:
        jobs.append(("robustness", settings("test", limit=bench.perturbed)))
    if bench.calibrated and "test" in splits_with_masks and tunable & set(card.channels):
        jobs.append(("calibration", settings("test")))
    return jobs


def _run(kind: str, settings: EvaluationSettings, engine: Engine, out: Path) -> dict[str, Any]:
    if kind == "robustness":
        return robustness(settings, engine, out)
    if kind == "calibration":
        return calibrate(settings, engine, out)
    return {**evaluate(settings, engine, out), "worst": worst(read_rows(out / "scores.csv"))}


def worst(rows: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """The worst films of each source by the Dice of the lungs, with the likely reason."""
    known = [row for row in rows if row.structure == "lungs" and row.scores.dice is not None]
    known.sort(key=lambda row: (row.scores.dice or 0.0, row.id))
    return {
        source: [_failure(row) for row in known if row.source == source][:WORST]
        for source in sorted({row.source for row in known})
    }


def _failure(row: Row) -> dict[str, Any]:
    facts = {
        "id": row.id,
        "condition": row.condition,
        "why": likely_reason(row),
        "notes": row.notes,
    }
    return facts | {name: getattr(row.scores, name) for name in ("dice", "hd95_px", "area_error")}


def likely_reason(row: Row) -> str:
    """The likely reason for a poor score."""
    if row.case != "both":
        return {"missed": "no lung found", "invented": "lung found where none is labelled"}[
            row.case
        ]
    if not row.comparable:
        return "another definition of lung"
    error = row.scores.area_error or 0.0
    if error < -FAR_OFF_AREA:
        return "too little lung"
    return "too much lung" if error > FAR_OFF_AREA else "the area is right, the outline is not"


def _write_result(result: dict[str, Any], root: Path, target: Path) -> Path:
    """Write a result without paths of this machine."""
    text = json.dumps(result, indent=1, allow_nan=False)
    for path in sorted({str(root.resolve()), str(root)}, key=len, reverse=True):
        text = text.replace(json.dumps(path)[1:-1], "DATA")
    with atomic_write(target, "w") as file:
        file.write(text + "\n")
    return target
