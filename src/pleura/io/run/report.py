"""Writing `run.json`: the options, versions and counts of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pleura.io.files.atomic import atomic_write

__all__ = ["COMPLETE", "INTERRUPTED", "RUN", "Run", "run_json", "write_run"]

RUN = "run.json"
"""The report's name in the output folder."""

COMPLETE, INTERRUPTED = "complete", "interrupted"
"""The values of `Run.status`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The report of one run over films."""

    version: str
    """Version of the package."""

    weights: str
    """Name of the weights."""

    weights_sha256: str
    engine: str
    definition: str
    flip: bool = False
    """Every film was mirrored left to right before it was segmented."""

    tta: bool = False
    """The maps are means over variants of each film."""

    shard: Mapping[str, Any] | None = None
    """Of a run over a part of the films: its number, the number of shards, and the number and
    digest of the films of all shards. None for a run over all films."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Options by name, as given; JSON values, paths as text."""

    status: str
    """`complete` or `interrupted`."""

    found: int
    """Number of films in the inputs; the sum of the next three if the run is complete."""

    done: int
    """Number of films segmented in this run."""

    failed: int
    skipped: int
    """Number of films finished by an earlier run, with `--resume`."""

    review: int = 0
    """Number of films in the table with the verdict `review`."""

    refused: int = 0
    """Number of films in the table with the verdict `refused`."""

    left_out: Mapping[str, Any] = field(default_factory=dict)
    """Files that are not films, by kind: their number and the first paths."""

    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Folders and files that could not be read: path -> reason."""

    started: str
    """Date and time with the time zone, ISO 8601."""

    seconds: float


def run_json(run: Run) -> str:
    """The text of `run.json`."""
    return json.dumps(asdict(run), indent=2, default=str) + "\n"


def write_run(out: Path, run: Run) -> Path:
    """Write `out/run.json` atomically; returns its path."""
    path = out / RUN
    with atomic_write(path, "w") as file:
        file.write(run_json(run))
    return path
