"""`pleura results merge`: one table and one report from those of the shards of a run."""

from __future__ import annotations

import heapq
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.progress import say
from pleura.apps.segment.output_folder import OutputFolder
from pleura.core.errors import UsageError
from pleura.io.files.atomic import OWN_PREFIX, cannot_write, remove_partial_files
from pleura.io.run.cells import name_in
from pleura.io.run.lock import locked_folder
from pleura.io.run.report import RUN, Run, write_run
from pleura.io.run.row import COLUMNS, FAILED, Row
from pleura.io.run.shard import SHARDS, Shard, shards_in
from pleura.io.run.table import RESULTS, read_cells, write_table

__all__ = ["merge"]

_SHOWN = 5  # shards that a message lists
_MERGED = f"{OWN_PREFIX}merged-shards"
"""The name of the folder of shards while it is removed."""


def merge(
    out: Annotated[Path, typer.Argument(help="The output folder of all shards.", metavar="OUT")],
) -> None:
    """Put the tables of all shards of a run together: OUT/results.csv and OUT/run.json.

    pleura segment films/ -o OUT --shard 1/2 --resume
    pleura segment films/ -o OUT --shard 2/2 --resume
    pleura results merge OUT

    Every shard must be complete; those that are not are named. The table is the
    one that a run over all films writes, sorted by film. With the format coco,
    OUT/coco.json is written too. OUT/shards is removed at the end. The exit code
    is 3 if films failed: their rows have the reasons, and `pleura segment` with
    --resume and without --shard tries them again.
    """
    if not out.is_dir():
        raise UsageError(f"there is no folder {out}; give the --out of the shards")
    with locked_folder(out), ExitStack() as stack:
        shards = _complete_shards(out, stack)
        report = _merged_report([_read_report(out, shard) for shard in shards])
        counts = _merge_tables(out, shards)
        place = OutputFolder(out=out, formats=tuple(report.options.get("formats", ())))
        place.finish(_rows(out), version=report.version)
        remove_partial_files(out)
        write_run(out, report)
        stack.close()  # a folder with an open lock cannot be renamed on every system
        _remove_shards(out)
    say(
        f"{len(shards)} shards, {report.found} films: {counts['done']} segmented, "
        f"{counts[FAILED]} failed, {report.review} to review, {report.refused} refused; "
        f"see {out / RESULTS}"
    )
    raise typer.Exit(Exit.FILMS_FAILED if counts[FAILED] else Exit.DONE)


def _complete_shards(out: Path, stack: ExitStack) -> list[Shard]:
    """All shards of the run, each locked by `stack`; `UsageError` names those that lack films."""
    shards = shards_in(out)
    if not shards:
        raise UsageError(
            f"{out} holds no shards"
            + (": its tables were merged before" if (out / RESULTS).exists() else "")
            + "; `pleura segment --shard K/N` makes them"
        )
    for shard in shards:
        stack.enter_context(locked_folder(out / shard.folder))
    count = shards[0].count
    complete = {shard for shard in shards if _read_report(out, shard).get("status") == "complete"}
    missing = [Shard(n, count) for n in range(1, count + 1) if Shard(n, count) not in complete]
    if missing:
        some = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        raise UsageError(
            f"{len(missing)} of {count} shards in {out} are not complete: {some}; run each with "
            "its --shard and --resume, then merge"
        )
    return shards


def _read_report(out: Path, shard: Shard) -> dict[str, Any]:
    """The report of a shard; empty if there is none."""
    try:
        report: dict[str, Any] = json.loads((out / shard.folder / RUN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read {out / shard.folder / RUN}: {error}; run shard {shard} with --resume"
        ) from error
    return report


def _merged_report(reports: Sequence[dict[str, Any]]) -> Run:
    """The report of all shards: sums of counts and of seconds, the first start."""
    sums = {
        name: sum(report[name] for report in reports)
        for name in ("found", "done", "failed", "skipped", "review", "refused", "seconds")
    }
    started = min(report["started"] for report in reports)
    return Run(**{**reports[0], **sums, "started": started, "shard": None})


def _cells(out: Path, shards: Sequence[Shard]) -> Iterator[list[str]]:
    """The cells of all films, sorted by film; one row of each shard is in memory."""
    tables = (read_cells(out / shard.folder / RESULTS) for shard in shards)
    return heapq.merge(*tables, key=lambda cells: name_in(cells[0]))


def _merge_tables(out: Path, shards: Sequence[Shard]) -> Counter[str]:
    """Write the table of all films; the number of films by status."""
    counts: Counter[str] = Counter()
    status = COLUMNS.index("status")

    def counted() -> Iterator[list[str]]:
        for cells in _cells(out, shards):
            counts[cells[status]] += 1
            yield cells

    write_table(out / RESULTS, counted())
    return counts


def _rows(out: Path) -> Iterator[Row]:
    for cells in read_cells(out / RESULTS):
        yield Row.from_cells(dict(zip(COLUMNS, cells, strict=True)))


def _remove_shards(out: Path) -> None:
    """Remove the shards' tables in one step, as far as other runs can see."""
    gone = out / _MERGED
    try:
        shutil.rmtree(gone, ignore_errors=True)  # of a merge that was killed
        (out / SHARDS).rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise cannot_write(gone, error) from error
