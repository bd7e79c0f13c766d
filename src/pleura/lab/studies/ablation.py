"""Ablation studies: several recipes (arms) are trained, scored and compared film by film."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pleura.core.card import Card
from pleura.core.did_you_mean import did_you_mean
from pleura.core.errors import UsageError
from pleura.io.files.atomic import atomic_write
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.evaluation import EvaluationSettings, read_rows
from pleura.lab.evaluate.statistics import describe
from pleura.lab.report.evaluation import evaluate
from pleura.lab.report.numbers import plain
from pleura.lab.train.export import export_checkpoint, write_weights
from pleura.lab.train.machine import Machine
from pleura.lab.train.recipe import Recipe, load_recipe
from pleura.lab.train.recipe_files import find_recipe
from pleura.lab.train.run import train
from pleura.net.checkpoint import read_network
from pleura.net.unetplusplus import UNetPlusPlus
from pleura.runtime.engine import OnnxEngine

__all__ = ["Arm", "Study", "StudyFolders", "load_study", "run_study", "study_table"]

METRICS = ("dice", "hd95_px", "assd_px")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One recipe of a study."""

    recipe: Recipe
    title: str
    heads: bool = False
    """Whether the network pruned at each earlier head is scored too."""

    pretrained_with: Recipe | None = None
    pretrained_on: tuple[str, ...] = ()
    """Data sets, as folders in `StudyFolders.root`."""

    seeds: tuple[int, ...] = ()
    """The seeds of this arm; empty for all of the study."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.recipe.name + ("_pretrained" if self.pretrained_with else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The arms of a study; the others are compared with the first."""

    arms: tuple[Arm, ...]
    trained_on: tuple[str, ...]
    tested_on: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFolders:
    """The folders of data sets and runs, and the machine."""

    root: Path
    out: Path
    machine: Machine | None = None


def load_study(path: Path) -> Study:
    """Read a study: a TOML file whose arms name recipes in the same folder.

    Raises `UsageError` if it, or a recipe, cannot be read, or a key is missing or unknown.
    """
    path = find_recipe(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        arms = tuple(_arm(path, entry) for entry in table.pop("arm"))
        trained_on = _names(table.pop("trained_on"), f"{path}: trained_on")
        tested_on, seeds = str(table.pop("tested_on")), tuple(map(int, table.pop("seeds")))
    except OSError as error:
        raise UsageError(f"{path}: no such study ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: not a study: {error}") from error
    except KeyError as error:
        raise UsageError(f"{path}: {error.args[0]} is missing; see recipes/ablation") from error
    if table or not arms or not seeds:
        raise UsageError(
            f"{path}: needs arms and seeds, and nothing else; unknown: {', '.join(table) or '-'}"
        )
    unknown_seeds = {seed for arm in arms for seed in arm.seeds} - set(seeds)
    if unknown_seeds:
        raise UsageError(
            f"{path}: an arm has seed {min(unknown_seeds)}, which is not among {seeds}"
        )
    return Study(arms=arms, trained_on=trained_on, tested_on=tested_on, seeds=seeds)


def _arm(path: Path, table: dict[str, Any]) -> Arm:
    known = [item.name for item in fields(Arm)]
    unknown = set(table) - set(known)
    if unknown:
        key = min(unknown)
        raise UsageError(f"{path}: unknown key '{key}' in an arm; {did_you_mean(key, known)}")
    pretraining = table.get("pretrained_with")
    return Arm(
        recipe=load_recipe(path.parent / table["recipe"]),
        title=str(table["title"]),
        heads=bool(table.get("heads", False)),
        pretrained_with=load_recipe(path.parent / pretraining) if pretraining else None,
        pretrained_on=_names(table.get("pretrained_on", ()), f"{path}: pretrained_on"),
        seeds=tuple(map(int, table.get("seeds", ()))),
    )


def _names(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{where} must be a list of folders, got {value!r}")
    return tuple(value)


def run_study(
    study: Study,
    folders: StudyFolders,
    *,
    on_run: Callable[[str], None] = lambda _title: None,
) -> dict[str, Any]:
    """Train and score the runs that are not finished; write `study.json` and return its content.

    An interrupted run is continued. The file is written after each run, with the finished arms
    only. `on_run` is called with the title of each run when it begins.

    Raises `DataError`, `UsageError` as training and evaluation do.
    """
    pretrained_on = {name for arm in study.arms for name in arm.pretrained_on}
    _films(folders.root, sorted({study.tested_on, *study.trained_on, *pretrained_on}))  # all there
    results: dict[str, dict[str, list[Row]]] = {}
    content: dict[str, Any] = {}
    for seed in study.seeds:
        for arm in (arm for arm in study.arms if not arm.seeds or seed in arm.seeds):
            on_run(f"{arm.title}, seed {seed}")
            weights = _trained(arm, study, folders, seed)
            for title, onnx_file in _variants(arm, weights):
                scores = onnx_file.parent.parent / f"scores_{onnx_file.stem}"
                rows = _scored(onnx_file, folders.root / study.tested_on, scores)
                results.setdefault(title, {})[str(seed)] = rows
            content = {"tested_on": study.tested_on, "rows": _rows(results)}
            with atomic_write(folders.out / "study.json", "w") as file:
                file.write(json.dumps(content, indent=1, allow_nan=False) + "\n")
    return content


def _trained(arm: Arm, study: Study, folders: StudyFolders, seed: int) -> Path:
    """Train an arm with a seed; returns its ONNX file."""
    recipe = replace(arm.recipe, seed=seed)
    if arm.pretrained_with is not None:
        pretraining = replace(arm.pretrained_with, seed=seed)
        films = _films(folders.root, arm.pretrained_on)
        folder = folders.out / f"{pretraining.name}_of_{arm.name}-{seed}"
        first = _run(pretraining, films, folder, folders.machine)
        recipe = replace(recipe, init=str(first))
    films = _films(folders.root, study.trained_on)
    return _run(recipe, films, folders.out / f"{arm.name}-{seed}", folders.machine)


def _run(recipe: Recipe, films: list[Film], out: Path, machine: Machine | None) -> Path:
    weights = out / "weights" / f"{recipe.name}.onnx"
    done = out / "done"
    if not done.exists():
        outcome = train(recipe, films, out, resume=True, machine=machine)
        if not outcome.finished:
            raise UsageError(f"{out}: time ran out before its last epoch; run the same again")
        if outcome.diverged:  # a result of the study too
            export_checkpoint(out / "checkpoints" / "best.ckpt", out / "weights")
        done.write_text(f"{outcome.val_dice}\n", encoding="utf-8")
    return weights


def _films(root: Path, sets: Sequence[str]) -> list[Film]:
    return [film for name in sets for film in read_films(root / name)]


def _variants(arm: Arm, weights: Path) -> list[tuple[str, Path]]:
    """(title, ONNX file) of the network and, if requested, of it pruned at its earlier heads."""
    variants = [(arm.title, weights)]
    network, card = read_network(weights)
    if arm.heads and isinstance(network, UNetPlusPlus):
        for level in range(network.architecture.levels - 1, 0, -1):
            stem = weights.with_name(f"{weights.stem}_L{level}")
            if not stem.with_suffix(".onnx").exists():
                pruned = network.pruned(level)
                write_weights(pruned, _card_of(card, pruned, level), stem)
            variants.append((f"{arm.title}, head L{level}", stem.with_suffix(".onnx")))
    return variants


def _card_of(card: Card, network: UNetPlusPlus, level: int) -> Card:
    name = f"{card.name}_L{level}"
    return replace(card, name=name, architecture=network.architecture.as_dict(), scores={})


def _scored(weights: Path, data: Path, out: Path) -> list[Row]:
    table = out / "scores.csv"
    if not table.exists():
        evaluate(
            EvaluationSettings(data=(data,), split="test"), OnnxEngine(weights.read_bytes()), out
        )
    return [row for row in read_rows(table) if row.structure == "lungs"]


def _rows(results: dict[str, dict[str, list[Row]]]) -> list[dict[str, Any]]:
    """A row for each title; differences from the first title are paired by seed and film."""
    baseline = next(iter(results.values()))
    rows = []
    for title, runs in results.items():
        row: dict[str, Any] = {"title": title, "seeds": sorted(runs), "metrics": {}}
        for metric in METRICS:
            means, patients = _per_film(runs, metric)
            shared = [seed for seed in runs if seed in baseline]
            values, shared_patients = _per_film({seed: runs[seed] for seed in shared}, metric)
            base_values, _ = _per_film({seed: baseline[seed] for seed in shared}, metric)
            row["metrics"][metric] = {
                "value": describe(means, patients, seed=0),
                "difference": describe(_differences(values, base_values), shared_patients, seed=0),
            }
        rows.append(row)
    return rows


def _per_film(runs: dict[str, list[Row]], metric: str) -> tuple[list[float | None], list[str]]:
    """The mean of each film over the runs (None if a run has no value), and its patient."""
    first = next(iter(runs.values()))
    values: dict[str, list[float | None]] = {row.id: [] for row in first}
    for rows in runs.values():
        for row in rows:
            values[row.id].append(getattr(row.scores, metric))
    means = [
        None if None in of_film else sum(v for v in of_film if v is not None) / len(of_film)
        for of_film in values.values()
    ]
    return means, [f"{row.source}/{row.patient}" for row in first]


def _differences(values: list[float | None], baseline: list[float | None]) -> list[float | None]:
    pairs = zip(values, baseline, strict=True)
    return [None if a is None or b is None else a - b for a, b in pairs]


def study_table(study: dict[str, Any]) -> str:
    """The Markdown table of a study: mean Dice, paired difference with its interval, HD95."""
    lines = [
        "| network | seeds | mean Dice | difference (95 % interval) | HD95 px, mean |",
        "|---|---|---|---|---|",
    ]
    for index, row in enumerate(study["rows"]):
        dice, hd95 = row["metrics"]["dice"], row["metrics"]["hd95_px"]
        difference = _difference(dice["difference"]) if index else "-"
        lines.append(
            f"| {row['title']} | {len(row['seeds'])} | {plain(dice['value']['mean'], '.4f')} | "
            f"{difference} | {plain(hd95['value']['mean'], '.1f')} |"
        )
    return "\n".join(lines) + "\n"


def _difference(figures: dict[str, Any]) -> str:
    ends = [plain(figures[end], "+.4f") for end in ("mean_low", "mean_high")]
    interval = "" if figures["mean_low"] is None else f" ({ends[0]} to {ends[1]})"
    return plain(figures["mean"], "+.4f") + interval
