"""`pleura.segment_folder`: the command `pleura segment` as a Python function."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from pleura.apps.cli.options import Lungs
from pleura.apps.cli.progress import Interrupt
from pleura.apps.segment.options import ComputeOptions, OutputOptions
from pleura.apps.segment.run import Task, segment_films
from pleura.core.errors import UsageError
from pleura.io.run.report import INTERRUPTED
from pleura.io.run.row import Row
from pleura.io.run.table import RESULTS, read_rows

__all__ = ["FolderResults", "segment_folder"]

log = logging.getLogger(__name__)


class FolderOptions(TypedDict, total=False):
    """Options of `segment_folder` that mean what those of `pleura segment` mean."""

    resume: bool
    overwrite: bool
    lungs: Literal["field", "whole"]
    flip: bool
    fast: bool
    weights: Path | str | Sequence[Path | str] | None
    threads: int | None
    workers: int | None
    force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderResults:
    """The results of a run over films. Iterating gives the rows of its table, one dict a film."""

    table: Path
    """`results.csv`: one row a film, sorted by film."""

    done: int
    """Number of films segmented in this run."""

    failed: int
    """Number of films that could not be segmented; their rows have the reason in `error`."""

    skipped: int
    """Number of films finished by an earlier run, with `resume`."""

    review: int
    """Number of films in the table with the verdict `review`."""

    refused: int
    """Number of films in the table with the verdict `refused`."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows of the table as `pleura segment --json` prints them, read when asked for."""
        return (row.as_json() for row in read_rows(self.table))


def segment_folder(
    inputs: Path | str | Iterable[Path | str],
    out: Path | str,
    *,
    formats: Iterable[str] = ("mask",),
    on_film: Callable[[dict[str, Any]], None] | None = None,
    **options: Unpack[FolderOptions],
) -> FolderResults:
    """Segment films and write the results to a folder, as `pleura segment INPUTS -o OUT` does.

    Nothing is printed. A film that fails has a row with the reason, and the run continues. Ctrl-C
    ends the run after the films being processed; `resume=True` continues it.

    Args:
        inputs: films, folders, globs, lists and URLs, or one of them.
        out: the folder for `results.csv`, `run.json` and the files of the formats.
        formats: those of `pleura segment --format`.
        on_film: called with the row of each film when it is finished.
        resume: continue the run in `out`: finished films are kept.
        overwrite: start again in `out`, and replace its files.
        lungs: `field`, or `whole` with the parts behind heart and mediastinum.
        flip: the films are stored mirrored.
        fast: take the smaller shipped network.
        weights: an ONNX file of `pleura export`, or several, whose probability maps are averaged;
            None for the shipped weights.
        threads: CPUs for the network; None for all that the process may use, divided among the
            workers.
        workers: processes that segment at the same time; with None this process does.
        force: also segment photographs, and films whose header names another body part.

    Raises:
        UsageError: no films, `out` holds results and neither `resume` nor `overwrite` is given, or
            an option is wrong.
        OutputError: the disk is full, or `out` takes no file; what is finished stays.
        WeightsError: the weights are missing, altered, or no weights.
        KeyboardInterrupt: Ctrl-C or SIGTERM; what is finished stays.
    """
    names = [str(inputs)] if isinstance(inputs, str | Path) else [str(name) for name in inputs]
    _check_names(options)
    place = OutputOptions(
        out=Path(out),
        formats=[formats] if isinstance(formats, str) else list(formats),
        resume=options.get("resume", False),
        overwrite=options.get("overwrite", False),
    ).place()
    computing = _computing(options)
    task = Task(work=computing.work(place), options={"inputs": names, "threads": computing.threads})
    report, left_out = segment_films(names, task, computing.executor(), _Callback(on_film))
    for line in left_out.complaints():
        log.warning(line)
    if report.status == INTERRUPTED:
        raise KeyboardInterrupt
    counts = {name: getattr(report, name) for name in ("done", "failed", "skipped")}
    return FolderResults(
        table=place.records / RESULTS, review=report.review, refused=report.refused, **counts
    )


def _check_names(options: FolderOptions) -> None:
    unknown = set(options) - set(FolderOptions.__annotations__)
    if unknown:
        known = ", ".join(FolderOptions.__annotations__)
        raise TypeError(f"segment_folder has no argument {min(unknown)!r}; it has {known}")


def _computing(options: FolderOptions) -> ComputeOptions:
    weights, lungs = options.get("weights"), options.get("lungs", "field")
    if lungs not in [choice.value for choice in Lungs]:
        raise UsageError(f"lungs={lungs!r} is no definition; give 'field' or 'whole'")
    for name in ("threads", "workers"):
        count = options.get(name)
        if count is not None and (not isinstance(count, Integral) or count < 1):
            raise UsageError(f"{name}={count!r} is no number of {name}; give 1 or more, or None")
    return ComputeOptions(
        lungs=Lungs(lungs),
        flip=options.get("flip", False),
        fast=options.get("fast", False),
        weights=[Path(path) for path in _several(weights)],
        threads=options.get("threads"),
        workers=options.get("workers"),
        force=options.get("force", False),
    )


def _several(weights: Path | str | Sequence[Path | str] | None) -> Sequence[Path | str]:
    if weights is None:
        return ()
    return (weights,) if isinstance(weights, Path | str) else weights


@dataclass(frozen=True, slots=True)
class _Callback:
    """Calls `on_film`; `run.Messages`."""

    on_film: Callable[[dict[str, Any]], None] | None

    def note(self, text: str) -> None:
        log.warning(text)

    @contextmanager
    def films(
        self,
        total: int,  # noqa: ARG002
        *,
        done: int,  # noqa: ARG002
        interrupt: Interrupt,  # noqa: ARG002
    ) -> Iterator[Callable[[Row], None]]:
        yield lambda row: None if self.on_film is None else self.on_film(row.as_json())
