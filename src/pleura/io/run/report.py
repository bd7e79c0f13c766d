"""Writing `run.json`: the options, versions and counts of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pleura.io.atomic import written_whole

__all__ = ["RUN", "Run", "write_run"]

RUN = "run.json"
"""The report's name in the output folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The report of one run over films."""

    version: str
    """Of the package."""

    weights: str
    """Name of the weights."""

    weights_sha256: str
    engine: str
    definition: str
    flip: bool = False
    """Every film was mirrored left to right before it was segmented."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """As given, by name; values that JSON knows, paths as text."""

    status: str
    """`complete`, `interrupted` or `failed`."""

    found: int
    """Films named by the inputs; the other counts add up to it when the run is complete."""

    done: int
    """Segmented in this run."""

    failed: int
    skipped: int
    """Finished by an earlier run, with `--resume`."""

    review: int = 0
    """Of the films in the table, those whose verdict is `review`."""

    refused: int = 0
    """Of the films in the table, those whose verdict is `refused`."""

    left_out: Mapping[str, Any] = field(default_factory=dict)
    """By kind, what lies among the films and is none: how many, and the first paths."""

    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Folders and files that could not be looked at, and why."""

    started: str
    """Date and time with the time zone, ISO 8601."""

    seconds: float


def write_run(out: Path, run: Run) -> Path:
    """Write `out/run.json`, whole or not at all; returns its path."""
    path = out / RUN
    with written_whole(path, "w") as file:
        json.dump(asdict(run), file, indent=2, default=str)
        file.write("\n")
    return path
