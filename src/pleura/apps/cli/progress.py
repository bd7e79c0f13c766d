"""Progress of a long run on stderr, and how a run is interrupted."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from pleura.io.decoder_process import stop_decoders

__all__ = [
    "FilmProgress",
    "Interrupt",
    "console",
    "give_up",
    "leave_if_stuck",
    "print_table",
    "say",
]

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.progress import Progress
    from rich.table import Table


LINE_EVERY_S = 60.0
"""Seconds between two lines of progress where stderr is no terminal."""


def say(text: str) -> None:
    """Print a line on stderr; it is dropped if stderr is closed or has no reader."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - rich is loaded for a bar only


def console(*, stderr: bool = True) -> Console:
    """A console on the current stderr or stdout; long lines are not broken, for files and pipes."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_table(screen: Console, table: Table) -> None:
    """Print a table in full: where it is wider than the screen, the terminal breaks its lines."""
    width = screen.width
    screen.width = max(width, screen.measure(table, options=_any_width(screen)).maximum)
    screen.print(table)
    screen.width = width


def _any_width(screen: Console) -> ConsoleOptions:
    return screen.options.update(width=10_000)


class FilmProgress:
    """A bar with rate and remaining time on a terminal, else a line a minute; none if `quiet`."""

    def __init__(self, total: int, *, done: int = 0, quiet: bool = False) -> None:
        """Show `done` of `total` films at the start."""
        self._bar = _bar() if not quiet and _on_terminal() else None
        self._lines = None if quiet or self._bar is not None else _Lines(total, done)
        if self._bar is not None:
            self._task = self._bar.add_task("films", total=total, completed=done)

    def __enter__(self) -> FilmProgress:
        for shown in (self._bar, self._lines):
            if shown is not None:
                shown.start()
        return self

    def __exit__(self, *_: object) -> None:
        for shown in (self._bar, self._lines):
            if shown is not None:
                shown.stop()

    def advance(self) -> None:
        """Count one more finished film."""
        if self._bar is not None:
            self._bar.advance(self._task)
        if self._lines is not None:
            self._lines.done += 1

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bar is None:
            say(text)
        else:
            with suppress(OSError, ValueError):
                self._bar.console.print(text, markup=False)


class _Lines:
    """Prints a line every `LINE_EVERY_S` from a thread, so also while one film takes long."""

    def __init__(self, total: int, done: int) -> None:
        self._total, self._before, self.done = total, done, done
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pleura-progress", daemon=True)
        self._since = time.monotonic()

    def start(self) -> None:
        self._since = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Print no more lines; only a line that waits for a blocked reader may still come."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._over.wait(LINE_EVERY_S):
            say(self._line(time.monotonic() - self._since))

    def _line(self, seconds: float) -> str:
        """`12 of 400 films, 0.2 a second, about 32 min left`, after `seconds`."""
        counted = f"{self.done} of {self._total} films"
        new = self.done - self._before
        if not new:
            return f"{counted}, none new in {seconds / 60:.0f} min"
        left = (self._total - self.done) * seconds / new
        return f"{counted}, {new / seconds:.2g} a second, about {_lasting(left)} left"


def _lasting(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _on_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _bar() -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Films a second."""

        def render(self, task: Task) -> Text:
            """`3.2 films/s` once a film is finished."""
            speed = task.finished_speed or task.speed
            text = "" if speed is None else f"{speed:.1f} films/s"
            return Text(text, style="progress.data.speed")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=console(),
    )


GRACE_S = 1.0
"""Seconds that the films being processed may take after a request to stop."""

_given_up: list[threading.Thread] = []
"""Threads that did not end in time, and are not waited for."""


class Interrupt:
    """Inside `with`, the first Ctrl-C (or SIGTERM) is noted; a second one interrupts.

    With `at_once` the first one interrupts. Outside the main thread nothing is changed, since
    Python handles no signals there.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self.requested = False
        self._at_once = at_once
        self._since = 0.0
        self._before: dict[int, Any] = {}

    @property
    def overdue(self) -> bool:
        """Whether the stop was asked for more than `GRACE_S` ago, so that waiting ends."""
        return self.requested and time.monotonic() - self._since > GRACE_S

    def request(self) -> None:
        """Ask for a stop, as Ctrl-C does."""
        self._since = time.monotonic()
        self.requested = True

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.requested or self._at_once:
            raise KeyboardInterrupt
        self.request()


def give_up(thread: threading.Thread) -> None:
    """Record that this thread is no longer waited for."""
    _given_up.append(thread)


def leave_if_stuck(code: int) -> None:
    """End the process at once if a thread that was given up still works.

    Python waits for its threads at the end, and one that is inside a decoder cannot be stopped.
    """
    if any(thread.is_alive() for thread in _given_up):
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        stop_decoders()
        os._exit(code)
