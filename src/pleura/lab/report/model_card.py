"""The model card: one page of Markdown, written from the results of `pleura bench`."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pleura.core.errors import UsageError
from pleura.lab.report.calibration import calibration_table
from pleura.lab.report.numbers import count, number, percent, ratio_cells, signed, with_interval
from pleura.lab.report.page import Table
from pleura.lab.report.robustness import robustness_tables

__all__ = ["REMARKS", "model_card", "read_remarks", "read_results"]

REMARKS = "remarks.csv"
"""The file beside the results with a reader's remarks on bad films: columns id and remark."""

HEAD = (
    "",
    "films",
    "Dice, mean (95 %)",
    "median",
    "5th pct",
    "min",
    "< 0.90",
    "HD95, px, mean",
    "area",
)


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the results of `pleura bench` in `folder`: name -> result.

    Raises:
        UsageError: there is no result, or a file is no result.
    """
    results = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            result["provenance"]["weights"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}: no result of `pleura bench` ({error!r}); move it elsewhere"
            ) from error
        results[path.stem] = result
    if not results:
        raise UsageError(f"{folder}: no result here; write some with `pleura bench`")
    return results


def read_remarks(folder: Path) -> dict[str, str]:
    """Read `REMARKS` in `folder`: film id -> remark; empty if there is no file.

    Raises:
        UsageError: the file is no table with columns id and remark.
    """
    path = folder / REMARKS
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["id"]: row["remark"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise UsageError(f"{path}: needs columns id and remark ({error!r})") from error


def model_card(
    results: dict[str, dict[str, Any]], remarks: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The model card as Markdown; `remarks` are by film id.

    Raises:
        UsageError: the results are of different weights.
    """
    weights = {result["provenance"]["weights"]["sha256"] for result in results.values()}
    if len(weights) > 1:
        raise UsageError(
            f"these results are of {len(weights)} different weights; a card describes one: "
            "run `pleura bench` again for all"
        )
    evaluations = _with_key(results, "by_source_and_condition")
    scored = {name: result for name, result in evaluations.items() if _is_cleaned(result)}
    robustness = _with_key(results, "effects")
    calibrations = _with_key(results, "tuning")
    template = (
        resources.files("pleura.lab.report").joinpath("model_card.md").read_text(encoding="utf-8")
    )
    return template.format(
        weights=_weights(next(iter(results.values()))["provenance"]),
        terms=_terms(results),
        trained=_trained(results),
        scores="\n\n".join(_scores(*item) for item in scored.items()) or NOTHING,
        ratio=_ratio(scored) or NOTHING,
        cleaning=_cleaning(scored, evaluations) or NOTHING,
        robustness="\n\n".join(_robustness(*item) for item in robustness.items()) or NOTHING,
        calibration="\n\n".join(_calibration(*item) for item in calibrations.items()) or NOTHING,
        failures="\n\n".join(_failures(*item, remarks) for item in scored.items()) or NOTHING,
        made="\n".join(_made(*item) for item in results.items()),
    )


RESEARCH = "research use only"
"""The licence of the shipped weights. Older results, which are of them, state none."""


def _terms(results: dict[str, dict[str, Any]]) -> str:
    """The uses that the licence of the weights excludes, as far as their card states it."""
    licence = next(iter(results.values()))["provenance"]["weights"].get("licence", RESEARCH)
    if licence == RESEARCH:
        return (
            "Commercial purposes: the terms of the training masks exclude them; see "
            "[licences](licences.md)."
        )
    return f"Uses that the licence excludes. The licence on the card of the weights: {licence}."


def _trained(results: dict[str, dict[str, Any]]) -> str:
    """Whether scored films were trained on, as far as the card of the weights states it."""
    counts = [
        (result["provenance"]["data"].get("trained_on", 0), result["provenance"]["data"]["films"])
        for result in results.values()
    ]
    if any(trained is None for trained, _ in counts):
        return (
            "The card does not list these films, so it is not known whether films that are scored "
            "here were trained on."
        )
    trained = sum(number for number, _ in counts)
    if trained:
        films = sum(number for _, number in counts)
        return (
            f"The weights were trained or selected on {trained} of the {films} films scored here."
        )
    return "No film of a test split was used for training, selection or calibration."


NOTHING = "Not measured for these weights."


def _with_key(results: dict[str, dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {name: result for name, result in results.items() if key in result}


def _weights(provenance: dict[str, Any]) -> str:
    weights = provenance["weights"]
    return (
        f"`{weights['name']}`, channels {', '.join(weights['channels'])}, squares of "
        f"{weights['side']} pixels, made with pleura {weights['version']}"
        f"{', ' + weights['created'] if weights['created'] else ''}.\n"
        f"SHA-256 `{weights['sha256']}`."
    )


def _scores(name: str, result: dict[str, Any]) -> str:
    """The table of a result: all structures, and the lungs of each source and condition."""
    rows = [(structure, group) for structure, group in result["overall"].items()]
    for source, group in result["by_source"].items():
        if "lungs" in group:
            mark = "" if result["sources"][source]["comparable"] else " (another definition)"
            rows.append((f"lungs, {source}{mark}", group["lungs"]))
    for title, group in result["by_source_and_condition"].items():
        if "lungs" in group and not title.endswith(" / "):
            rows.append((f"lungs, {title}", group["lungs"]))
    table = Table(name, HEAD, tuple(_score(*row) for row in rows))
    counts = ", ".join(f"{key.replace('_', ' ')} {n}" for key, n in result["films"].items() if n)
    return f"{_markdown(table)}\n\n{counts.capitalize()}."


def _score(title: str, group: dict[str, Any]) -> tuple[str, ...]:
    dice, hd95 = group["dice"], group["hd95_px"]
    shown = (number(dice[key]) for key in ("median", "p5", "min"))
    poor = percent(dice["share_under_090"])
    area = signed(group["area_error"]["mean"])
    return (title, count(dice), with_interval(dice), *shown, poor, number(hd95["mean"], 1), area)


def _is_cleaned(result: dict[str, Any]) -> bool:
    return bool(result["provenance"].get("cleaned", True))


def _cleaning(scored: dict[str, dict[str, Any]], evaluations: dict[str, dict[str, Any]]) -> str:
    """The table of the lungs with and without clean-up, for results that have both."""
    head = ("", "Dice, mean", "without", "HD95, px, mean", "without", "largest", "without")
    figures = (("dice", "mean", 4), ("hd95_px", "mean", 2), ("hd95_px", "max", 1))
    rows = []
    for name, result in scored.items():
        without = evaluations.get(f"{name}_bare")
        if without is not None and "lungs" in result["overall"]:
            pair = [scores["overall"]["lungs"] for scores in (result, without)]
            cells = (number(lungs[m][key], digits) for m, key, digits in figures for lungs in pair)
            rows.append((name, *cells))
    return "\n".join([_line(head), _line(("---",) * len(head)), *map(_line, rows)]) if rows else ""


def _ratio(scored: dict[str, dict[str, Any]]) -> str:
    """The table of the cardiothoracic ratio, for results with hearts."""
    head = ("", "films", "bias", "limits", "mean error", "off by > 0.05")
    rows = [
        (f"{name}, {title}", *ratio_cells(both[key]))
        for name, result in scored.items()
        for source, both in result.get("cardiothoracic_ratio", {}).items()
        if source != "overall"
        for key, title in (("kept", "ratio given"), ("all", "all"))
    ]
    return "\n".join([_line(head), _line(("---",) * len(head)), *map(_line, rows)]) if rows else ""


def _robustness(name: str, result: dict[str, Any]) -> str:
    return "\n\n".join(
        _markdown(Table(f"{name}: {table.title.lower()}", table.head, table.rows))
        for table in robustness_tables(result)
    )


def _calibration(name: str, result: dict[str, Any]) -> str:
    table, tuning = calibration_table(result), result["tuning"]
    chosen = (
        f"A temperature of {result['temperature']:g} was best on {tuning['films']} films of "
        f"split {tuning['split']}; the weights have {result['card_temperature']:g}."
    )
    return f"{_markdown(Table(name, table.head, table.rows))}\n\n{chosen}"


def _failures(name: str, result: dict[str, Any], remarks: Mapping[str, str]) -> str:
    head = ("film", "condition", "Dice", "HD95, px", "area", "by the numbers", "a reader's remark")

    def table(source: str, films: list[dict[str, Any]]) -> Table:
        return Table(f"{name}: {source}", head, tuple(_failure(film, remarks) for film in films))

    return "\n\n".join(_markdown(table(*item)) for item in result.get("worst", {}).items())


def _failure(film: dict[str, Any], remarks: Mapping[str, str]) -> tuple[str, ...]:
    facts = (film["id"], film["condition"] or "–")
    values = (number(film["dice"]), number(film["hd95_px"], 1), signed(film["area_error"]))
    return (*facts, *values, film["why"], remarks.get(film["id"], "–"))


def _made(name: str, result: dict[str, Any]) -> str:
    made, data = result["provenance"], result["provenance"]["data"]
    return (
        f"- {name}: `{made['command']}`, pleura {made['version']}, {made['created'][:10]}, "
        f"{data['films']} films, data SHA-256 `{data['fingerprint'][:16]}`"
    )


def _markdown(table: Table) -> str:
    """A table with its title as a third-level heading."""
    lines = [f"### {table.title}", "", _line(table.head), _line(("---",) * len(table.head))]
    return "\n".join([*lines, *map(_line, table.rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
