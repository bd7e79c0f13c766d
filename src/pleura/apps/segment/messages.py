"""What a run of `pleura segment` prints, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.progress import FilmProgress, Interrupt, say
from pleura.io.run.cells import printable
from pleura.io.run.left_out import LeftOut
from pleura.io.run.report import INTERRUPTED, Run
from pleura.io.run.row import FAILED, Row, doubt_sentences
from pleura.io.run.shard import Shard
from pleura.io.run.table import RESULTS

__all__ = ["Printed"]


@dataclass(slots=True, kw_only=True)
class Printed:
    """Prints a line for each film, on stderr and on stdout; `run.Messages`."""

    as_json: bool = False
    """Print one JSON object a film on stdout."""

    strict: bool = False
    """The exit code is not 0 if a verdict is not `ok`."""

    quiet: bool = False
    """Print only errors on stderr."""

    stdout_is_open: bool = True
    """False once the reader of stdout has closed it."""

    def note(self, text: str) -> None:
        """Print a warning."""
        say(text)

    @contextmanager
    def films(
        self, total: int, *, done: int, interrupt: Interrupt
    ) -> Iterator[Callable[[Row], None]]:
        """Show progress, and print the rows that the run gives."""
        with FilmProgress(total, done=done, quiet=self.quiet) as progress:
            yield lambda row: self._show(row, progress, interrupt)

    def conclude(self, report: Run, records: Path, left_out: LeftOut) -> Exit:
        """Print how the run ended; its exit code. `records` is the folder with the table."""
        if not self.stdout_is_open:
            return Exit.BROKEN_PIPE
        _concluded(report, records, left_out, quiet=self.quiet)
        if report.status == INTERRUPTED:
            return Exit.INTERRUPTED
        if report.failed or left_out.unreadable:
            return Exit.FILMS_FAILED
        return Exit.NOT_ALL_OK if self.strict and report.review + report.refused else Exit.DONE

    def _show(self, row: Row, progress: FilmProgress, interrupt: Interrupt) -> None:
        progress.advance()
        name = printable(row.path)
        if row.status == FAILED:
            progress.say(f"failed: {name}: {printable(' '.join(row.error.split()))}")
        elif row.doubts and not self.quiet:
            progress.say(f"{row.verdict}: {name}: {doubt_sentences(row)}")
        if self.as_json and self.stdout_is_open:
            self._print(json.dumps(row.as_json()), interrupt)

    def _print(self, line: str, interrupt: Interrupt) -> None:
        """Print a line on stdout; if its reader has closed it, the run stops as by Ctrl-C."""
        try:
            typer.echo(line)
        except BrokenPipeError:
            self.stdout_is_open = False
            interrupt.request()


def _concluded(report: Run, records: Path, left_out: LeftOut, *, quiet: bool) -> None:
    """Print how the run ended."""
    worked = report.done + report.failed
    parts = [f"{report.done} segmented"]
    parts += [f"{report.failed} failed"] if report.failed else []
    parts += [f"{report.skipped} finished before"] if report.skipped else []
    parts += [f"{report.review} to review"] if report.review else []
    parts += [f"{report.refused} refused"] if report.refused else []
    if not quiet:
        for line in left_out.lines():
            say(line)
    for line in left_out.complaints():
        say(line)
    if not quiet:
        say(
            f"{_scope(report)}: {', '.join(parts)}, in {report.seconds:.1f} s"
            f"{_rate(worked, report.seconds)}; see {records / RESULTS}"
        )
    if report.status == INTERRUPTED:
        left = report.found - report.skipped - worked
        say(
            f"interrupted with {_films(left)} to go; run the same command with --resume to continue"
        )


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
