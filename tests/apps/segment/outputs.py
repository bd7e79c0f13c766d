"""The tables, reports and other files of runs."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pleura.io.files.walk import walk

Run = Callable[..., Any]

posix = pytest.mark.skipif(os.name == "nt", reason="streams and signals of POSIX")


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len({line["film"] for line in lines}) == len(lines)
    return {line["film"]: line for line in lines}


def rows_untimed(out: Path) -> dict[str, dict[str, str]]:
    """The table without the seconds, by film; a film with two rows is an error."""
    return {
        film: {name: cell for name, cell in row.items() if name != "seconds"}
        for film, row in rows(out).items()
    }


def report_untimed(out: Path) -> dict[str, Any]:
    """The report without the times of the run."""
    return {
        name: value for name, value in report(out).items() if name not in ("started", "seconds")
    }


def files(out: Path) -> dict[str, bytes]:
    """The content of every file but the table and the report, by its path."""
    paths = (Path(place, name) for place, _, names in walk(str(out)) for name in names)
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in paths
        if path.name not in ("results.csv", "run.json")
    }


def report(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "run.json").read_text())
    return report
