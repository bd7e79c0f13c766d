"""A run over films: find them, skip finished ones, segment, write, report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Protocol

from pleura.apps.cli.progress import Interrupt
from pleura.apps.segment.output_folder import OutputFolder
from pleura.apps.segment.pipeline import Failed
from pleura.apps.segment.work import Ended, Executor, FilmWork, OpenExecutor, Watch
from pleura.core.errors import OutputError
from pleura.core.types import Provenance
from pleura.io.run.crash_journal import Journal
from pleura.io.run.find import FilmFile, Search, find_films
from pleura.io.run.left_out import LeftOut
from pleura.io.run.report import COMPLETE, INTERRUPTED, Run, write_run
from pleura.io.run.row import DONE, FAILED, Row, failed_row
from pleura.io.run.shard import Shard, films_digest
from pleura.io.run.table import Table

__all__ = ["Messages", "Task", "segment_films"]


class Messages(Protocol):
    """Receives the messages and the finished films of a run."""

    def note(self, text: str) -> None:
        """A warning about the run as a whole."""

    def films(
        self, total: int, *, done: int, interrupt: Interrupt
    ) -> AbstractContextManager[Callable[[Row], None]]:
        """A block for the time of segmenting; it yields a function to call with each film's row.

        `done` of all films were finished before; `interrupt` can stop the run.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The options of a run; its films are given apart."""

    work: FilmWork
    """The work on each film, and the output folder."""

    options: Mapping[str, Any]
    """As given, for run.json."""

    @property
    def place(self) -> OutputFolder:
        """The output folder."""
        return self.work.place


def segment_films(
    inputs: Sequence[str], task: Task, open_executor: OpenExecutor, messages: Messages
) -> tuple[Run, LeftOut]:
    """Segment every film that `inputs` name, and write `results.csv` and `run.json`.

    `open_executor` decides where the films are done. A film's files are written whole or not at
    all, and its row only after them: a run may be stopped in any way at any moment, and continued.

    Raises:
        UsageError: no films; or the place holds results, films, or another run's work, or another
            run is writing there.
        OutputError: the disk is full, or the place takes no file; what is finished stays.
        WeightsError: the network gives values that are no probabilities.
        KeyboardInterrupt: Ctrl-C or SIGTERM before the first film; later the report's status is
            `interrupted`.
    """
    task.place.check_options()
    leave_out = task.place.leave_out(inputs)
    with Interrupt(at_once=True), task.place.locked() as locked:
        if not locked:
            messages.note(
                f"{task.place.out} lies on a file system without locks: start no second run there"
            )
        search = find_films(inputs, leave_out=leave_out, known=task.place.names())
        films = task.place.films_of_run(search.films)
        try:
            with open_executor(films, task.work) as executor:
                report = replace(_begun(task, executor.provenance, search), found=len(films))
                return _segmented(films, task, executor, report, messages=messages), search.left_out
        except OutputError as error:
            raise type(error)(f"{error}; --resume continues from here") from error


def _segmented(
    films: list[FilmFile], task: Task, executor: Executor, report: Run, *, messages: Messages
) -> Run:
    """Segment the films of a search; the output folder is locked. `report` is that of the begin."""
    place = task.place
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
        with messages.films(len(films), done=skipped, interrupt=interrupt) as show:
            counts = _work(executor.run(left, watch), table, show)
        known = (table.rows.summary(film.name) for film in films)
        verdicts = Counter(row.verdict for row in known if row is not None)
    report = _ended(report, counts, skipped=skipped, seconds=time.monotonic() - start)
    report = replace(report, review=verdicts["review"], refused=verdicts["refused"])
    if report.status == COMPLETE:
        rows = (table.rows[name] for name in sorted(table.rows))
        place.finish(rows, version=report.version)
    write_run(place.records, report)
    return report


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
        tta=made_by.tta,
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
