"""`pleura robustness`, whole: films in; the table as JSON, CSV, picture and page out."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pleura.io.atomic import written_whole
from pleura.lab.evaluate.case import Judge
from pleura.lab.evaluate.perturbation import UNPERTURBED
from pleura.lab.evaluate.robustness import EFFECTS, Robustness, as_csv, tabulate, try_films
from pleura.lab.evaluate.statistics import POOR_DICE
from pleura.lab.evaluate.trial import Trial, choose
from pleura.lab.report.evaluation import provenance
from pleura.lab.report.numbers import count, number, percent, signed, with_interval
from pleura.lab.report.page import Page, Table
from pleura.runtime.engine import Engine

__all__ = ["made_by", "robustness", "robustness_tables"]

SCHEMA = 1
"""Of robustness.json; it grows when a key changes its meaning or goes."""

HEAD = (
    "",
    "films",
    "failed",
    "median Dice",
    "mean",
    "< 0.90",
    "difference, median",
    "difference, mean (95 %)",
    "worst film",
)

INK = "#0072B2"


def robustness(
    trial: Trial,
    engine: Engine,
    out: Path,
    *,
    on_film: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Score under every effect; write `robustness` .json, .csv, .png and .html; give the table.

    `on_film` is called with how many films are done, and of how many.

    Raises:
        DataError: no such data, or no film with a mask in this split.
        UsageError: an option is wrong.
        WeightsError: the engine's weights answer nonsense.
    """
    judge = Judge(engine, lungs=trial.lungs)
    selection = choose(trial)
    total, done = len(selection.films), iter(range(1, len(selection.films) + 1))
    on_film(0, total)
    found = try_films(selection, judge, on_film=lambda: on_film(next(done), total))
    told = {
        "schema": SCHEMA,
        "provenance": provenance(trial, engine, selection),
        **tabulate(found, seed=trial.seed),
    }
    picture = draw(found)
    with written_whole(out / "robustness.png") as file:
        file.write(picture)
    for name, text in (
        ("robustness.csv", as_csv(found)),
        ("robustness.html", _page(told, picture).html()),
        ("robustness.json", json.dumps(told, indent=1, allow_nan=False) + "\n"),
    ):
        with written_whole(out / name, "w") as file:
            file.write(text)
    return told


def robustness_tables(told: dict[str, Any]) -> list[Table]:
    """The table of all films, and of each source where there are several."""
    parts = {"All films": told["overall"], **told["by_source"]}
    if len(told["by_source"]) == 1 and told["overall"]:
        parts = {"All films": told["overall"]}
    return [
        Table(title, HEAD, tuple(_cells(told["effects"][name], row) for name, row in rows.items()))
        for title, rows in parts.items()
        if rows
    ]


def _cells(title: str, row: dict[str, Any]) -> tuple[str, ...]:
    dice, change = row["dice"], row["difference"]
    return (
        title,
        count(dice),
        str(row["failed"]),
        number(dice["median"]),
        number(dice["mean"]),
        percent(dice["share_under_090"]),
        signed(change["median"], 4),
        with_interval(change, 4),
        signed(change["min"]),
    )


def _page(told: dict[str, Any], picture: bytes) -> Page:
    films = told["films"]
    return Page(
        title="Pleura, when something befalls the film",
        lead=f"{films['scored']} films, each as it is and under {len(EFFECTS) - 1} effects; "
        f"{films['failed']} failures, named in robustness.json.",
        tables=tuple(robustness_tables(told)),
        notes=told["notes"],
        made=made_by(told["provenance"]),
        picture=picture,
        caption="Dice of the lungs under each effect: line from the 5th to the 95th percentile of "
        "the films, dot at the median. The vertical line is the median of the films as they are.",
    )


def made_by(told: dict[str, Any]) -> dict[str, str]:
    """A page's record of what made it."""
    weights, data = told["weights"], told["data"]
    return {
        "command": told["command"],
        "version": f"pleura {told['version']}, {told['engine']}, {told['created']}",
        "weights": f"{weights['name']}, sha256 {weights['sha256']}",
        "data": f"{', '.join(data['sets'])}, split {data['split']}, {data['films']} films, "
        f"sha256 {data['fingerprint']}",
    }


def draw(found: Robustness) -> bytes:
    """The median and the spread under each effect, as a PNG; films of another definition out."""
    values = [
        [v for each in found.outcomes if each.comparable and (v := each.dice.get(name)) is not None]
        for name in (effect.name for effect in EFFECTS)
    ]
    figure = Figure(figsize=(8.2, 0.6 + 0.28 * len(EFFECTS)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, mine in enumerate(values):
        _spread(axes, place, mine)
    if values[0]:
        axes.axvline(float(np.median(values[0])), color=INK, linewidth=0.8, alpha=0.5)
    axes.axvline(POOR_DICE, color="#5D6770", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(EFFECTS)), [effect.title for effect in EFFECTS])
    axes.set_ylim(len(EFFECTS) - 0.5, -0.5)
    axes.set_xlim(right=1.0)
    axes.set_xlabel("Dice of the lungs; dashed: 0.90")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()


def _spread(axes: Any, place: int, values: Sequence[float]) -> None:
    if not values:
        return
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    colour = "#1C2126" if place == EFFECTS.index(UNPERTURBED) else INK
    axes.plot([low, high], [place, place], color=colour, linewidth=2.2, alpha=0.45)
    axes.plot([middle], [place], marker="o", markersize=5, color=colour)
