"""What a person sees of a long run, on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

__all__ = ["FilmProgress", "console"]


def console() -> Console:
    """Where people read: stderr as it is now; long lines are left whole for files and pipes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


class FilmProgress:
    """A bar with rate and remaining time on a terminal; nothing in a pipe or if `quiet`."""

    def __init__(self, total: int, *, done: int = 0, quiet: bool = False) -> None:
        """Show `done` of `total` films at the start."""
        self._bar = None if quiet or not sys.stderr.isatty() else _bar()
        if self._bar is not None:
            self._task = self._bar.add_task("films", total=total, completed=done)

    def __enter__(self) -> FilmProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """One film more is finished."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def say(self, text: str) -> None:
        """A line above the bar; it stays."""
        if self._bar is None:
            print(text, file=sys.stderr)  # noqa: T201 - rich is loaded only where a bar is drawn
        else:
            self._bar.console.print(text, markup=False)


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
            """`3.2 films/s` once there is something to go by."""
            speed = task.finished_speed or task.speed
            said = "" if speed is None else f"{speed:.1f} films/s"
            return Text(said, style="progress.data.speed")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=console(),
    )
