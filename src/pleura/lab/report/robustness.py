"""The run of `pleura robustness`: it writes the table as JSON and CSV, a picture and a page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pleura.io.files.atomic import atomic_write
from pleura.lab.evaluate.case import Evaluator
from pleura.lab.evaluate.evaluation import EvaluationSettings, choose
from pleura.lab.evaluate.perturbation import UNPERTURBED
from pleura.lab.evaluate.robustness import EFFECTS, Robustness, as_csv, tabulate, try_films
from pleura.lab.evaluate.statistics import POOR_DICE
from pleura.lab.report.evaluation import provenance
from pleura.lab.report.numbers import count, number, percent, signed, with_interval
from pleura.lab.report.page import Page, Table
from pleura.runtime.engine import Engine

__all__ = ["made_by", "robustness", "robustness_tables"]

SCHEMA = 1
"""The schema version of robustness.json; it grows when a key changes or is removed."""

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
    settings: EvaluationSettings,
    engine: Engine,
    out: Path,
    *,
    on_film: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Score films under every perturbation; write `robustness` .json, .csv, .png and .html.

    Returns the content of the JSON. `on_film` is called with the numbers of films done and to do.

    Raises:
        DataError: no such data, or no film with a mask in this split.
        UsageError: an option is wrong.
        WeightsError: the network gives invalid numbers.
    """
    evaluator = Evaluator(engine, lungs=settings.lungs)
    selection = choose(settings)
    total, done = len(selection.films), iter(range(1, len(selection.films) + 1))
    on_film(0, total)
    outcome = try_films(selection, evaluator, on_film=lambda: on_film(next(done), total))
    result = {
        "schema": SCHEMA,
        "provenance": provenance(settings, engine, selection),
        **tabulate(outcome, seed=settings.seed),
    }
    picture = draw(outcome)
    with atomic_write(out / "robustness.png") as file:
        file.write(picture)
    for name, text in (
        ("robustness.csv", as_csv(outcome)),
        ("robustness.html", _page(result, picture).html()),
        ("robustness.json", json.dumps(result, indent=1, allow_nan=False) + "\n"),
    ):
        with atomic_write(out / name, "w") as file:
            file.write(text)
    return result


def robustness_tables(result: dict[str, Any]) -> list[Table]:
    """The table of all films, and one for each source if there are several."""
    parts = {"All films": result["overall"], **result["by_source"]}
    if len(result["by_source"]) == 1 and result["overall"]:
        parts = {"All films": result["overall"]}
    return [
        Table(
            title, HEAD, tuple(_cells(result["effects"][name], row) for name, row in rows.items())
        )
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


def _page(result: dict[str, Any], picture: bytes) -> Page:
    films = result["films"]
    return Page(
        title="Pleura: robustness to perturbations of the film",
        lead=f"{films['scored']} films, each as it is and under {len(EFFECTS) - 1} perturbations; "
        f"{films['failed']} failures, listed in robustness.json.",
        tables=tuple(robustness_tables(result)),
        notes=result["notes"],
        made=made_by(result["provenance"]),
        picture=picture,
        caption="Dice of the lungs under each perturbation: line from the 5th to the 95th "
        "percentile of the films, dot at the median. The vertical line is the median of "
        "unperturbed films.",
    )


def made_by(provenance: dict[str, Any]) -> dict[str, str]:
    """The provenance of a report, as rows of a page."""
    weights, data = provenance["weights"], provenance["data"]
    engine, created = provenance["engine"], provenance["created"]
    return {
        "command": provenance["command"],
        "version": f"pleura {provenance['version']}, {engine}, {created}",
        "weights": f"{weights['name']}, sha256 {weights['sha256']}",
        "data": f"{', '.join(data['sets'])}, split {data['split']}, {data['films']} films, "
        f"sha256 {data['fingerprint']}",
    }


def draw(robustness: Robustness) -> bytes:
    """Median and percentiles under each perturbation, as a PNG; without incomparable films."""
    comparable = [outcome for outcome in robustness.outcomes if outcome.comparable]
    values = [
        [dice for outcome in comparable if (dice := outcome.dice.get(name)) is not None]
        for name in (effect.name for effect in EFFECTS)
    ]
    figure = Figure(figsize=(8.2, 0.6 + 0.28 * len(EFFECTS)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for position, dice_values in enumerate(values):
        _percentile_bar(axes, position, dice_values)
    if values[0]:
        axes.axvline(float(np.median(values[0])), color=INK, linewidth=0.8, alpha=0.5)
    axes.axvline(POOR_DICE, color="#5D6770", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(EFFECTS)), [effect.title for effect in EFFECTS])
    axes.set_ylim(len(EFFECTS) - 0.5, -0.5)
    axes.set_xlim(right=1.0)
    axes.set_xlabel("Dice of the lungs; dashed: 0.90")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    return png.getvalue()


def _percentile_bar(axes: Any, position: int, values: Sequence[float]) -> None:
    if not values:
        return
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    colour = "#1C2126" if position == EFFECTS.index(UNPERTURBED) else INK
    axes.plot([low, high], [position, position], color=colour, linewidth=2.2, alpha=0.45)
    axes.plot([middle], [position], marker="o", markersize=5, color=colour)
