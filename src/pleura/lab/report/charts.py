"""The charts of the report, as SVG text with the colours and fonts of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.style import context
from matplotlib.ticker import PercentFormatter

from pleura.lab.evaluate.case import Row
from pleura.lab.evaluate.metrics import METRICS
from pleura.lab.evaluate.statistics import POOR_DICE

__all__ = ["agreement", "by_source", "histograms"]

INK, LINE, ACCENT = "#010203", "#040506", "#070809"
COLOURS = ("#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04", "#0a0b05", "#0a0b06")
"""Placeholders for the page's colours, light or dark, in the drawn figure. `COLOURS` has one for
each source, then repeats."""

_PAGE = {
    INK: "currentColor",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    **{colour: f"var(--source-{number})" for number, colour in enumerate(COLOURS, start=1)},
}

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pleura",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.transparent": True,
}

_DASHES = (0, (4, 3))

_SHOWN = ("dice", "surface_dice_rel", "hd95_px", "assd_px")


def histograms(rows: Sequence[Row]) -> str:
    """Histograms of Dice, surface Dice, HD95 and ASSD of `rows`, which are of one structure."""
    with context(_STYLE):
        figure = Figure(figsize=(10.4, 2.5))
        figure.subplots_adjust(left=0.01, right=0.99, top=0.88, bottom=0.24, wspace=0.08)
        for axes, name in zip(figure.subplots(1, len(_SHOWN)), _SHOWN, strict=True):
            values = [v for row in rows if (v := getattr(row.scores, name)) is not None]
            _histogram(axes, name, values)
        return _svg(figure)


def by_source(rows: Sequence[Row], group: dict[str, Any]) -> str:
    """The Dice of every film as a dot, one line for each source, with mean and interval."""
    sources = sorted({row.source for row in rows})
    with context(_STYLE):
        figure = Figure(figsize=(10.4, 0.9 + 0.55 * len(sources)), layout="constrained")
        axes = figure.subplots()
        for position, source in enumerate(sources):
            values = [row.scores.dice for row in rows if row.source == source]
            _strip(axes, position, [v for v in values if v is not None])
            _mean_bar(axes, position, group[source]["lungs"]["dice"])
        axes.axvline(POOR_DICE, color=LINE, linewidth=1, linestyle=_DASHES)
        axes.set_yticks(range(len(sources)), sources)
        axes.set_ylim(len(sources) - 0.5, -0.6)
        axes.set_xlabel("Dice of the lungs, one dot for each film; bar: mean and 95 % interval")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        return _svg(figure)


def agreement(rows: Sequence[Row], limits: dict[str, Any]) -> str:
    """The Bland-Altman plot of the area: the relative error over the mean area."""
    sources = sorted({row.source for row in rows})
    with context(_STYLE):
        figure = Figure(figsize=(10.4, 3.4), layout="constrained")
        axes = figure.subplots()
        for index, source in enumerate(sources):
            points = [_area_point(row) for row in rows if row.source == source]
            known = np.array([point for point in points if point is not None]).reshape(-1, 2)
            colour = COLOURS[index % len(COLOURS)]
            axes.scatter(
                known[:, 0], known[:, 1], s=16, color=colour, alpha=0.65, linewidths=0, label=source
            )
        for key, dashes in (("bias", "solid"), ("low", _DASHES), ("high", _DASHES)):
            _level(axes, limits[key], dashes)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlabel("lung area, mean of label and prediction, share of the film")
        axes.set_ylabel("area error")
        if len(sources) > 1:
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(-0.01, 1.0),
                frameon=False,
                ncols=len(sources),
                handletextpad=0.1,
                borderpad=0,
            )
        return _svg(figure)


def _level(axes: Axes, value: float, dashes: Any) -> None:
    """A horizontal line with its value at the right."""
    axes.axhline(value, color=INK, linewidth=0.9, linestyle=dashes)
    axes.annotate(
        f"{value:+.1%}".replace("-", "−"),
        (1, value),
        xycoords=("axes fraction", "data"),
        xytext=(4, -3),
        textcoords="offset points",
        fontsize=9,
        annotation_clip=False,
    )


def _histogram(axes: Axes, name: str, values: Sequence[float]) -> None:
    metric = METRICS[name]
    axes.set_title(f"{metric.title}, {metric.unit}" if metric.unit else metric.title)
    axes.tick_params(axis="x", labelsize=9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if not values:
        axes.text(0.5, 0.5, "undefined for every film", ha="center", transform=axes.transAxes)
        return
    axes.hist(
        values, bins=_edges(values, top=1.0 if metric.better == "high" else None), color=ACCENT
    )
    median = float(np.median(values))
    axes.axvline(median, color=INK, linewidth=1)
    axes.set_xlabel(f"median {median:.3f}" if metric.better == "high" else f"median {median:.1f}")


def _edges(values: Sequence[float], *, top: float | None) -> list[float]:
    """The edges of about 25 bins of a round width; shares end at 1, distances begin at 0."""
    low = min(values) if top else 0.0
    high = top or max(max(values), 1e-3)
    width = next(
        (
            step
            for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100)
            if (high - low) / step <= 25
        ),
        (high - low) / 25,
    )
    count = max(int(np.ceil((high - low) / width - 1e-9)), 3)
    first = high - count * width if top else low
    return [first + width * index for index in range(count + 1)]


def _strip(axes: Axes, position: int, values: Sequence[float]) -> None:
    """Dots with a fixed vertical offset each, so that the same scores give the same figure."""
    offsets = (np.arange(len(values)) * 0.618034) % 1 - 0.5
    axes.scatter(values, position + 0.42 * offsets, s=12, color=ACCENT, alpha=0.55, linewidths=0)


def _mean_bar(axes: Axes, position: int, figures: dict[str, Any]) -> None:
    mean, low, high = (figures[key] for key in ("mean", "mean_low", "mean_high"))
    if mean is None:
        return
    if low is not None:
        axes.plot(
            [low, high], [position, position], color=INK, linewidth=2.2, solid_capstyle="round"
        )
    axes.plot([mean], [position], marker="o", markersize=5, color=INK)


def _area_point(row: Row) -> tuple[float, float] | None:
    if row.scores.area_error is None:
        return None
    mean = (row.truth_px + row.predicted_px) / 2 / (row.height * row.width)
    return mean, row.scores.area_error


def _svg(figure: Figure) -> str:
    """The figure as SVG inside HTML: without header, namespaces, and unused ids."""
    text = io.StringIO()
    FigureCanvasSVG(figure)
    figure.savefig(
        text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Type", "Format"))
    )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    used = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', svg))
    svg = re.sub(r' id="([\w-]+)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r'<svg width="[^"]*" height="[^"]*"|<svg height="[^"]*"', "<svg", svg, count=1)
    for ink, page in _PAGE.items():
        svg = svg.replace(ink, page)
    return svg
