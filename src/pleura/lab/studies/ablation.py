"""Recipes against each other: every arm trained and scored alike, differences film by film."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pleura.core.card import Card
from pleura.core.errors import UsageError
from pleura.io.atomic import written_whole
from pleura.lab.data.film import Film
from pleura.lab.data.layouts import read_films
from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.statistics import describe
from pleura.lab.evaluate.trial import Trial, read_rows
from pleura.lab.report.evaluation import evaluate
from pleura.lab.report.numbers import plain
from pleura.lab.train.export import write_weights
from pleura.lab.train.recipe import Recipe, load_recipe
from pleura.lab.train.recipe_files import find_recipe
from pleura.lab.train.run import Machine, train
from pleura.net.checkpoint import from_safetensors
from pleura.net.unetplusplus import UNetPlusPlus
from pleura.runtime.engine import OnnxEngine

__all__ = ["Arm", "Place", "Study", "load_study", "run_study", "study_table"]

METRICS = ("dice", "hd95_px", "assd_px")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One row of the table."""

    recipe: Recipe
    title: str
    heads: bool = False
    """Score the network cut off at every earlier head too."""

    pretrained_with: Recipe | None = None
    pretrained_on: tuple[str, ...] = ()
    """Folders under the data's root."""

    seeds: tuple[int, ...] = ()
    """Of the study's, those that this arm runs with; empty is all."""

    @property
    def name(self) -> str:
        """Names its folder."""
        return self.recipe.name + ("_pretrained" if self.pretrained_with else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Arms, the first of which the others are set against."""

    arms: tuple[Arm, ...]
    trained_on: tuple[str, ...]
    tested_on: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where films are, where runs go, and what computes them."""

    root: Path
    out: Path
    machine: Machine | None = None


def load_study(path: Path) -> Study:
    """Read a study: a TOML file whose arms name recipes beside it.

    Raises `UsageError` if it, or a recipe, cannot be read, or a key is missing or unknown.
    """
    path = find_recipe(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        arms = tuple(_arm(path, each) for each in table.pop("arm"))
        trained_on = tuple(table.pop("trained_on"))
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
    strange = {seed for arm in arms for seed in arm.seeds} - set(seeds)
    if strange:
        raise UsageError(f"{path}: an arm has seed {min(strange)}, which is not among {seeds}")
    return Study(arms=arms, trained_on=trained_on, tested_on=tested_on, seeds=seeds)


def _arm(path: Path, table: dict[str, Any]) -> Arm:
    known = [each.name for each in fields(Arm)]
    unknown = set(table) - set(known)
    if unknown:
        raise UsageError(f"{path}: unknown in an arm: {', '.join(unknown)}; known: {known}")
    before = table.get("pretrained_with")
    return Arm(
        recipe=load_recipe(path.parent / table["recipe"]),
        title=str(table["title"]),
        heads=bool(table.get("heads", False)),
        pretrained_with=load_recipe(path.parent / before) if before else None,
        pretrained_on=tuple(table.get("pretrained_on", ())),
        seeds=tuple(map(int, table.get("seeds", ()))),
    )


def run_study(
    study: Study,
    place: Place,
    *,
    on_run: Callable[[str], None] = lambda _title: None,
) -> dict[str, Any]:
    """Train and score what is not there yet; write `study.json` and give what it holds.

    A run that was interrupted goes on where it was; arms that are not finished are left out of
    what is written after each one. `on_run` is called with the title of each run as it begins.

    Raises `DataError`, `UsageError` as training and evaluation do.
    """
    found: dict[str, dict[str, list[Row]]] = {}
    told: dict[str, Any] = {}
    for seed in study.seeds:
        for arm in (each for each in study.arms if not each.seeds or seed in each.seeds):
            on_run(f"{arm.title}, seed {seed}")
            weights = _trained(arm, study, place, seed)
            for title, each in _variants(arm, weights):
                scores = each.parent.parent / f"scores_{each.stem}"
                rows = _scored(each, place.root / study.tested_on, scores)
                found.setdefault(title, {})[str(seed)] = rows
            told = {"tested_on": study.tested_on, "rows": _rows(found)}
            with written_whole(place.out / "study.json", "w") as file:
                file.write(json.dumps(told, indent=1, allow_nan=False) + "\n")
    return told


def _trained(arm: Arm, study: Study, place: Place, seed: int) -> Path:
    """The ONNX file of an arm's run."""
    recipe = replace(arm.recipe, seed=seed)
    if arm.pretrained_with is not None:
        before = replace(arm.pretrained_with, seed=seed)
        films = _films(place.root, arm.pretrained_on)
        folder = place.out / f"{before.name}_of_{arm.name}-{seed}"
        first = _run(before, films, folder, place.machine)
        recipe = replace(recipe, init=str(first.with_suffix(".safetensors")))
    films = _films(place.root, study.trained_on)
    return _run(recipe, films, place.out / f"{arm.name}-{seed}", place.machine)


def _run(recipe: Recipe, films: list[Film], out: Path, machine: Machine | None) -> Path:
    weights = out / "weights" / f"{recipe.name}.onnx"
    done = out / "done"
    if not done.exists():
        outcome = train(recipe, films, out, resume=True, machine=machine)
        if not outcome.finished:
            raise UsageError(f"{out}: time ran out before its last epoch; run the same again")
        done.write_text(f"{outcome.val_dice}\n", encoding="utf-8")
    return weights


def _films(root: Path, sets: Sequence[str]) -> list[Film]:
    return [film for name in sets for film in read_films(root / name)]


def _variants(arm: Arm, weights: Path) -> list[tuple[str, Path]]:
    """(title, ONNX file) of the network and, if asked for, of what ends at its earlier heads."""
    found = [(arm.title, weights)]
    network, card = from_safetensors(weights.with_suffix(".safetensors"))
    if arm.heads and isinstance(network, UNetPlusPlus):
        for level in range(network.architecture.levels - 1, 0, -1):
            stem = weights.with_name(f"{weights.stem}_L{level}")
            if not stem.with_suffix(".onnx").exists():
                smaller = network.pruned(level)
                write_weights(smaller, _card_of(card, smaller, level), stem)
            found.append((f"{arm.title}, head L{level}", stem.with_suffix(".onnx")))
    return found


def _card_of(card: Card, network: UNetPlusPlus, level: int) -> Card:
    name = f"{card.name}_L{level}"
    return replace(card, name=name, architecture=network.architecture.as_dict(), scores={})


def _scored(weights: Path, data: Path, out: Path) -> list[Row]:
    table = out / "scores.csv"
    if not table.exists():
        evaluate(Trial(data=(data,), split="test"), OnnxEngine(weights.read_bytes()), out)
    return [row for row in read_rows(table) if row.structure == "lungs"]


def _rows(found: dict[str, dict[str, list[Row]]]) -> list[dict[str, Any]]:
    """A row for each title; differences are paired with the first title's, seed for seed."""
    base = next(iter(found.values()))
    out = []
    for title, runs in found.items():
        row: dict[str, Any] = {"title": title, "seeds": sorted(runs), "metrics": {}}
        for metric in METRICS:
            means, patients = _per_film(runs, metric)
            shared = [seed for seed in runs if seed in base]
            mine, whose = _per_film({seed: runs[seed] for seed in shared}, metric)
            theirs, _ = _per_film({seed: base[seed] for seed in shared}, metric)
            row["metrics"][metric] = {
                "value": describe(means, patients, seed=0),
                "difference": describe(_minus(mine, theirs), whose, seed=0),
            }
        out.append(row)
    return out


def _per_film(runs: dict[str, list[Row]], metric: str) -> tuple[list[float | None], list[str]]:
    """Each film's mean over the runs, None where one run has no value; and whose film it is."""
    first = next(iter(runs.values()))
    values: dict[str, list[float | None]] = {row.id: [] for row in first}
    for rows in runs.values():
        for row in rows:
            values[row.id].append(getattr(row.scores, metric))
    means = [
        None if None in each else sum(v for v in each if v is not None) / len(each)
        for each in values.values()
    ]
    return means, [f"{row.source}/{row.patient}" for row in first]


def _minus(mine: list[float | None], theirs: list[float | None]) -> list[float | None]:
    pairs = zip(mine, theirs, strict=True)
    return [None if a is None or b is None else a - b for a, b in pairs]


def study_table(told: dict[str, Any]) -> str:
    """A Markdown table: Dice with its interval, the paired difference with its own, HD95."""
    lines = [
        "| network | seeds | mean Dice | difference (95 % interval) | HD95 px |",
        "|---|---|---|---|---|",
    ]
    for index, row in enumerate(told["rows"]):
        dice, far = row["metrics"]["dice"], row["metrics"]["hd95_px"]
        change = _difference(dice["difference"]) if index else "-"
        lines.append(
            f"| {row['title']} | {len(row['seeds'])} | {plain(dice['value']['mean'], '.4f')} | "
            f"{change} | {plain(far['value']['mean'], '.1f')} |"
        )
    return "\n".join(lines) + "\n"


def _difference(figures: dict[str, Any]) -> str:
    ends = [plain(figures[end], "+.4f") for end in ("mean_low", "mean_high")]
    interval = "" if figures["mean_low"] is None else f" ({ends[0]} to {ends[1]})"
    return plain(figures["mean"], "+.4f") + interval
