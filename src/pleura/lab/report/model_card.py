"""The model card: one page of Markdown, written from results and nothing else."""

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
from pleura.lab.report.numbers import count, number, percent, signed, with_interval
from pleura.lab.report.page import Table
from pleura.lab.report.robustness import robustness_tables

__all__ = ["REMARKS", "model_card", "read_remarks", "read_results"]

REMARKS = "remarks.csv"
"""Beside the results: columns id and remark, what a person saw who looked at a bad film."""

HEAD = ("", "films", "Dice, mean (95 %)", "median", "5th pct", "min", "< 0.90", "HD95, px", "area")


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Name -> result, for every JSON file that `pleura bench` wrote into `folder`.

    Raises:
        UsageError: there is none, or one is no result.
    """
    results = {}
    for path in sorted(folder.glob("*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            told["provenance"]["weights"]["sha256"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}: no result of `pleura bench` ({error!r}); move it elsewhere"
            ) from error
        results[path.stem] = told
    if not results:
        raise UsageError(f"{folder}: no result here; write some with `pleura bench`")
    return results


def read_remarks(folder: Path) -> dict[str, str]:
    """Film's id -> what a person saw in it, from `REMARKS` in `folder`; none if there is no file.

    Raises:
        UsageError: it is no table with columns id and remark.
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
    """The page; `remarks` say what a person saw in a film. All results must be of one weights.

    Raises:
        UsageError: they are not.
    """
    weights = {each["provenance"]["weights"]["sha256"] for each in results.values()}
    if len(weights) > 1:
        raise UsageError(
            f"these results are of {len(weights)} different weights; a card tells of one: "
            "run `pleura bench` again for all"
        )
    judged = {name: each for name, each in results.items() if "by_source_and_condition" in each}
    scored = {name: each for name, each in judged.items() if _is_cleaned(each)}
    tried = {name: each for name, each in results.items() if "effects" in each}
    held = {name: each for name, each in results.items() if "tuning" in each}
    said = (
        resources.files("pleura.lab.report").joinpath("model_card.md").read_text(encoding="utf-8")
    )
    return said.format(
        weights=_weights(next(iter(results.values()))["provenance"]),
        scores="\n\n".join(_scores(*each) for each in scored.items()) or NOTHING,
        cleaning=_cleaning(scored, judged) or NOTHING,
        robustness="\n\n".join(_robustness(*each) for each in tried.items()) or NOTHING,
        calibration="\n\n".join(_calibration(*each) for each in held.items()) or NOTHING,
        failures="\n\n".join(_failures(*each, remarks) for each in scored.items()) or NOTHING,
        made="\n".join(_made(*each) for each in results.items()),
    )


NOTHING = "Not measured for these weights."


def _weights(told: dict[str, Any]) -> str:
    known = told["weights"]
    return (
        f"`{known['name']}`, channels {', '.join(known['channels'])}, squares of {known['side']} "
        f"pixels, made with pleura {known['version']}"
        f"{', ' + known['created'] if known['created'] else ''}.\nSHA-256 `{known['sha256']}`."
    )


def _scores(name: str, told: dict[str, Any]) -> str:
    """The lungs, right, left and heart of a result, and the lungs of each source and condition."""
    rows = [(structure, group) for structure, group in told["overall"].items()]
    for source, group in told["by_source"].items():
        if "lungs" in group:
            mark = "" if told["sources"][source]["comparable"] else " (another definition)"
            rows.append((f"lungs, {source}{mark}", group["lungs"]))
    for title, group in told["by_source_and_condition"].items():
        if "lungs" in group and not title.endswith(" / "):
            rows.append((f"lungs, {title}", group["lungs"]))
    table = Table(name, HEAD, tuple(_score(*row) for row in rows))
    counts = ", ".join(f"{key.replace('_', ' ')} {n}" for key, n in told["films"].items() if n)
    return f"{_markdown(table)}\n\n{counts.capitalize()}."


def _score(title: str, group: dict[str, Any]) -> tuple[str, ...]:
    dice, hd95 = group["dice"], group["hd95_px"]
    shown = (number(dice[key]) for key in ("median", "p5", "min"))
    poor = percent(dice["share_under_090"])
    area = signed(group["area_error"]["mean"])
    return (title, count(dice), with_interval(dice), *shown, poor, number(hd95["median"], 1), area)


def _is_cleaned(told: dict[str, Any]) -> bool:
    return bool(told["provenance"].get("cleaned", True))


def _cleaning(scored: dict[str, dict[str, Any]], judged: dict[str, dict[str, Any]]) -> str:
    """One table: the lungs of each result with clean-up, and without where that was measured."""
    head = ("", "Dice, mean", "without", "HD95, px, mean", "without", "largest", "without")
    figures = (("dice", "mean", 4), ("hd95_px", "mean", 2), ("hd95_px", "max", 1))
    rows = []
    for name, told in scored.items():
        bare = judged.get(f"{name}_bare")
        if bare is not None and "lungs" in told["overall"]:
            lungs = [each["overall"]["lungs"] for each in (told, bare)]
            cells = (number(each[m][key], digits) for m, key, digits in figures for each in lungs)
            rows.append((name, *cells))
    return "\n".join([_line(head), _line(("---",) * len(head)), *map(_line, rows)]) if rows else ""


def _robustness(name: str, told: dict[str, Any]) -> str:
    return "\n\n".join(
        _markdown(Table(f"{name}: {each.title.lower()}", each.head, each.rows))
        for each in robustness_tables(told)
    )


def _calibration(name: str, told: dict[str, Any]) -> str:
    table = calibration_table(told)
    chosen = (
        f"A temperature of {told['temperature']:g} was best on {told['tuning']['films']} films of "
        f"split {told['tuning']['split']}; the weights carry {told['card_temperature']:g}."
    )
    return f"{_markdown(Table(name, table.head, table.rows))}\n\n{chosen}"


def _failures(name: str, told: dict[str, Any], remarks: Mapping[str, str]) -> str:
    head = ("film", "condition", "Dice", "HD95, px", "area", "the numbers say", "a reader saw")

    def table(source: str, films: list[dict[str, Any]]) -> Table:
        return Table(f"{name}: {source}", head, tuple(_failure(each, remarks) for each in films))

    return "\n\n".join(_markdown(table(*each)) for each in told.get("worst", {}).items())


def _failure(film: dict[str, Any], remarks: Mapping[str, str]) -> tuple[str, ...]:
    facts = (film["id"], film["condition"] or "–")
    values = (number(film["dice"]), number(film["hd95_px"], 1), signed(film["area_error"]))
    return (*facts, *values, film["why"], remarks.get(film["id"], "–"))


def _made(name: str, told: dict[str, Any]) -> str:
    made, data = told["provenance"], told["provenance"]["data"]
    return (
        f"- {name}: `{made['command']}`, pleura {made['version']}, {made['created'][:10]}, "
        f"{data['films']} films, data SHA-256 `{data['fingerprint'][:16]}`"
    )


def _markdown(table: Table) -> str:
    """A table with its title as a heading of the third order."""
    lines = [f"### {table.title}", "", _line(table.head), _line(("---",) * len(table.head))]
    return "\n".join([*lines, *map(_line, table.rows)])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
