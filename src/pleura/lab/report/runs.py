"""A page that compares training runs: scores, curves, and the differences of their recipes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pleura._version import __version__
from pleura.core.errors import UsageError
from pleura.lab.report.numbers import number
from pleura.lab.report.page import Page, Table
from pleura.lab.train.export import read_facts, read_metrics

__all__ = ["Trained", "compare", "read_run"]

CURVES = (
    ("val_dice", "validation Dice"),
    ("val_loss", "validation loss"),
    ("loss", "training loss"),
    ("learning_rate", "learning rate"),
)
"""What is drawn: columns of metrics.csv, and their titles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A run as its folder holds it."""

    name: str
    """The folder, as it was given."""

    facts: Mapping[str, Any]
    """Of the last checkpoint: recipe, data, version, epoch from 0."""

    curves: Mapping[str, list[tuple[float, float]]]
    """Column of metrics.csv -> [(epoch from 1, value)]."""

    @property
    def best(self) -> tuple[float, float] | None:
        """(epoch, validation Dice) of the best epoch; None if no epoch has a score."""
        scored = self.curves.get("val_dice", [])
        return max(scored, key=lambda point: point[1]) if scored else None


def read_run(folder: Path) -> Trained:
    """Read a run's last checkpoint and its table.

    Raises `UsageError` if the folder holds no run with a complete epoch, and `WeightsError` if its
    checkpoint is damaged.
    """
    table = folder / "metrics.csv"
    if not table.is_file():
        raise UsageError(
            f"{folder}: no run with a complete epoch here (no metrics.csv); give the folder that "
            "`pleura train --out` wrote"
        )
    return Trained(
        name=str(folder),
        facts=read_facts(folder / "checkpoints" / "last.ckpt"),
        curves=read_metrics(table),
    )


def compare(runs: Sequence[Trained], *, command: str = "") -> str:
    """The page of two or more runs, as one HTML file.

    Raises `UsageError` for fewer runs, or a run that is given twice.
    """
    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) < len(names):
        raise UsageError(f"name two or more different runs to compare, got {', '.join(names)}")
    page = Page(
        title="Pleura: training runs",
        lead=f"{len(runs)} runs, by the scores of their validation films on squares.",
        tables=(_scores(runs), _channels(runs), _recipes(runs)),
        notes=_notes(runs),
        made={
            "command": command,
            "version": f"pleura {__version__}, {datetime.now(UTC).isoformat(timespec='seconds')}",
        },
        picture=_picture(runs),
        caption="Each run over its epochs: " + ", ".join(title for _, title in CURVES) + ".",
    )
    return page.html()


def _scores(runs: Sequence[Trained]) -> Table:
    rows = []
    for run in runs:
        epoch, dice = run.best or (None, None)
        last = run.curves.get("val_dice", [(0, None)])[-1][1]
        minutes = sum(value for _, value in run.curves.get("seconds", [])) / 60
        films = run.facts["data"]["films"]
        rows.append(
            (
                run.name,
                f"{run.facts['epoch'] + 1} of {run.facts['recipe']['epochs']}",
                number(dice, 4),
                "–" if epoch is None else f"{epoch:.0f}",
                number(last, 4),
                f"{minutes:.1f}",
                f"{films['train']} + {films['val']}",
                str(run.facts["version"]),
            )
        )
    head = ("", "epochs", "best Dice", "at epoch", "last Dice", "minutes", "films", "version")
    return Table("Scores", head, tuple(rows))


def _channels(runs: Sequence[Trained]) -> Table:
    """The Dice of each channel at the best epoch of its run."""
    columns = [name for run in runs for name in run.curves if name.startswith("val_dice_")]
    columns = list(dict.fromkeys(columns))
    rows = tuple(
        (
            run.name,
            *(number(dict(run.curves.get(name, [])).get(_epoch(run)), 4) for name in columns),
        )
        for run in runs
    )
    titles = (name.removeprefix("val_dice_").replace("_", " ") for name in columns)
    return Table("Validation Dice by channel, at the best epoch", ("", *titles), rows)


def _epoch(run: Trained) -> float:
    return run.best[0] if run.best else 0.0


def _recipes(runs: Sequence[Trained]) -> Table:
    """The settings that are not the same in all runs."""
    recipes = [dict(_flat(run.facts["recipe"])) for run in runs]
    keys = dict.fromkeys(key for recipe in recipes for key in recipe)
    rows = []
    for key in keys:
        values = [_shown(recipe.get(key)) for recipe in recipes]
        if len(set(values)) > 1:
            rows.append((key, *values))
    return Table("Differences of the recipes", ("", *(run.name for run in runs)), tuple(rows))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(value: Any) -> str:
    """A setting as text; of the digest of initial weights the first eight digits."""
    if isinstance(value, str):
        return re.sub(r"(#sha256=[0-9a-f]{8})[0-9a-f]+", r"\1", value)
    return "–" if value is None else json.dumps(value)


def _notes(runs: Sequence[Trained]) -> dict[str, str]:
    notes = {
        "scores": "The validation Dice selects the best epoch of a run, on squares and without "
        "clean-up. To compare weights, score both on test films: "
        "`pleura evaluate DATA --weights B.onnx --compare A/scores.csv`.",
        "recipes": "A dash is a setting that the recipe of that run does not state.",
    }
    if len({json.dumps(_data(run)) for run in runs}) > 1:
        notes["films"] = (
            "The runs were not trained and validated on the same films, so their scores cannot be "
            "compared directly."
        )
    return notes


def _data(run: Trained) -> list[Any]:
    return [run.facts["data"].get(key) for key in ("fingerprint", "split")]


def _picture(runs: Sequence[Trained]) -> bytes:
    figure = Figure(figsize=(10, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, CURVES, strict=True):
        for run in runs:
            points = run.curves.get(name, [])
            axes.plot(*zip(*points, strict=True), marker=".", label=run.name) if points else None
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, ncols=2)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()
