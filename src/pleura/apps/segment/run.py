"""A run over films: find them, skip finished ones, segment, write, report."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.progress import FilmProgress, Interrupt, say
from pleura.apps.segment.output_folder import OutputFolder
from pleura.apps.segment.pipeline import Failed
from pleura.apps.segment.work import Ended, Executor, FilmWork, OpenExecutor, Watch
from pleura.core.errors import OutputError
from pleura.core.types import Provenance
from pleura.io.run.cells import printable
from pleura.io.run.crash_journal import Journal
from pleura.io.run.find import FilmFile, Search, find_films
from pleura.io.run.left_out import LeftOut
from pleura.io.run.report import COMPLETE, INTERRUPTED, Run, write_run
from pleura.io.run.row import DONE, FAILED, Row, doubt_sentences, failed_row
from pleura.io.run.shard import Shard, films_digest
from pleura.io.run.table import RESULTS, Table

__all__ = ["Task", "segment_films"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The options of a run; its films are given apart."""

    work: FilmWork
    """What is done with each film, and the output folder."""

    as_json: bool = False
    """Print one JSON object a film on stdout."""

    strict: bool = False
    """The exit code is not 0 if a verdict is not `ok`."""

    quiet: bool = False
    """Print only errors on stderr."""

    options: Mapping[str, Any]
    """As given, for run.json."""

    @property
    def place(self) -> OutputFolder:
        """The output folder."""
        return self.work.place


def segment_films(inputs: Sequence[str], task: Task, open_executor: OpenExecutor) -> Exit:
    """Segment every film that `inputs` name, and write `results.csv` and `run.json`.

    `open_executor` decides where the films are done. A film's files are written whole or not at
    all, and its row only after them: a run may be stopped in any way at any moment, and continued.

    Raises:
        UsageError: no films; or the place holds results, films, or another run's work, or another
            run is writing there.
        OutputError: the disk is full, or the place takes no file; what is finished stays.
        WeightsError: the network gives values that are no probabilities.
    """
    task.place.check_options()
    leave_out = task.place.leave_out(inputs)
    with Interrupt(at_once=True), task.place.locked() as locked:
        if not locked:
            say(f"{task.place.out} lies on a file system without locks: start no second run there")
        search = find_films(inputs, leave_out=leave_out, known=task.place.names())
        films = task.place.films_of_run(search.films)
        try:
            with open_executor(films, task.work) as executor:
                return _segmented(search, films, task, executor)
        except OutputError as error:
            raise type(error)(f"{error}; --resume continues from here") from error


def _segmented(search: Search, films: list[FilmFile], task: Task, executor: Executor) -> Exit:
    """Segment the films of a search; the output folder is locked."""
    place = task.place
    report = replace(_begun(task, executor.provenance, search), found=len(films))
    place.check(films, report)
    start = time.monotonic()
    write_run(place.records, report)  # its status is `interrupted` until the end
    with (
        Table(place.records, resume=place.resume) as table,
        Interrupt() as interrupt,
        Journal(place.records) as journal,
    ):
        left = place.unfinished(films, table.rows)
        watch = Watch(
            stopped=lambda: interrupt.requested,
            overdue=lambda: interrupt.overdue,
            reading=lambda film: journal.reading(film.name),
            suspects=journal.unfinished,
        )
        skipped = len(films) - len(left)
        with FilmProgress(len(films), done=skipped, quiet=task.quiet) as progress:
            messages = _Messages(task, progress, interrupt)
            counts = _work(executor.run(left, watch), table, messages)
        known = (table.rows.brief(film.name) for film in films)
        verdicts = Counter(row.verdict for row in known if row is not None)
    report = _ended(report, counts, skipped=skipped, seconds=time.monotonic() - start)
    report = replace(report, review=verdicts["review"], refused=verdicts["refused"])
    if report.status == COMPLETE:
        rows = (table.rows[name] for name in sorted(table.rows))
        place.finish(rows, version=report.version)
    write_run(place.records, report)
    return (
        _concluded(report, task, search.left_out) if messages.stdout_is_open else Exit.BROKEN_PIPE
    )


class _Messages:
    """Prints a line for each film, on stderr and on stdout."""

    def __init__(self, task: Task, progress: FilmProgress, interrupt: Interrupt) -> None:
        self.stdout_is_open = True
        """False once the reader of stdout has closed it."""
        self._task, self._progress, self._interrupt = task, progress, interrupt

    def __call__(self, row: Row) -> None:
        self._progress.advance()
        name = printable(row.path)
        if row.status == FAILED:
            self._progress.say(f"failed: {name}: {printable(' '.join(row.error.split()))}")
        elif row.doubts and not self._task.quiet:
            self._progress.say(f"{row.verdict}: {name}: {doubt_sentences(row)}")
        if self._task.as_json and self.stdout_is_open:
            self._speak(json.dumps(row.as_json()))

    def _speak(self, line: str) -> None:
        """Print a line on stdout; if its reader has closed it, the run stops as by Ctrl-C."""
        try:
            typer.echo(line)
        except BrokenPipeError:
            self.stdout_is_open = False
            self._interrupt.request()


def _work(groups: Iterable[list[Ended]], table: Table, show: Callable[[Row], None]) -> Counter[str]:
    """Write and print the rows of finished films; the number of films by status."""
    counts: Counter[str] = Counter()
    for ends in groups:
        rows = [_row(end) for end in ends]
        table.add(*rows)
        for row in rows:
            counts[row.status] += 1
            show(row)
    return counts


def _row(end: Ended) -> Row:
    seconds = round(end.seconds, 3)
    if isinstance(end, Failed):
        film = end.file
        return failed_row(PurePath(film.name), path=film.source, error=end.reason, seconds=seconds)
    return replace(end.value, seconds=seconds)


def _begun(task: Task, made_by: Provenance, search: Search) -> Run:
    """The report that is left if the run is killed before its end."""
    return Run(
        version=made_by.version,
        flip=made_by.flip,
        options={**task.options, "formats": list(task.place.formats)},
        weights=made_by.weights_name,
        weights_sha256=made_by.weights_sha256,
        engine=made_by.engine,
        definition=made_by.definition,
        shard=_shard(task.place.shard, search.films),
        status=INTERRUPTED,
        found=len(search.films),
        left_out=search.left_out.as_json(),
        unreadable=search.left_out.unreadable,
        done=0,
        failed=0,
        skipped=0,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=0.0,
    )


def _shard(shard: Shard | None, films: list[FilmFile]) -> dict[str, Any] | None:
    """The shard and the films of all shards, for run.json."""
    if shard is None:
        return None
    return {
        "number": shard.number,
        "count": shard.count,
        "films": len(films),
        "films_sha256": films_digest(film.name for film in films),
    }


def _ended(report: Run, counts: Counter[str], *, skipped: int, seconds: float) -> Run:
    complete = skipped + counts.total() == report.found
    return replace(
        report,
        status=COMPLETE if complete else INTERRUPTED,
        done=counts[DONE],
        failed=counts[FAILED],
        skipped=skipped,
        seconds=round(seconds, 3),
    )


def _concluded(report: Run, task: Task, left_out: LeftOut) -> Exit:
    """Print how the run ended; its exit code."""
    place = task.place
    worked = report.done + report.failed
    parts = [f"{report.done} segmented"]
    parts += [f"{report.failed} failed"] if report.failed else []
    parts += [f"{report.skipped} finished before"] if report.skipped else []
    parts += [f"{report.review} to review"] if report.review else []
    parts += [f"{report.refused} refused"] if report.refused else []
    if not task.quiet:
        for line in left_out.lines():
            say(line)
    for line in left_out.complaints():
        say(line)
    if not task.quiet:
        say(
            f"{_scope(report)}: {', '.join(parts)}, in {report.seconds:.1f} s"
            f"{_rate(worked, report.seconds)}; see {place.records / RESULTS}"
        )
    if report.status == INTERRUPTED:
        left = report.found - report.skipped - worked
        say(
            f"interrupted with {_films(left)} to go; run the same command with --resume to continue"
        )
        return Exit.INTERRUPTED
    if report.failed or left_out.unreadable:
        return Exit.FILMS_FAILED
    return Exit.NOT_ALL_OK if task.strict and report.review + report.refused else Exit.DONE


def _scope(report: Run) -> str:
    if report.shard is None:
        return _films(report.found)
    shard = Shard(report.shard["number"], report.shard["count"])
    return f"shard {shard}, {report.found} of {_films(report.shard['films'])}"


def _rate(films: int, seconds: float) -> str:
    if not films or not seconds:
        return ""
    fast = films >= seconds
    return f", {films / seconds:.1f} a second" if fast else f", {seconds / films:.1f} s each"


def _films(number: int) -> str:
    return "1 film" if number == 1 else f"{number} films"
