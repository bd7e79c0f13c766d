"""What a person sees of a long run, on stderr."""

from __future__ import annotations

from rich.console import Console
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

__all__ = ["FilmProgress", "console"]


def console() -> Console:
    """Where people read: stderr as it is now; long lines are left whole for files and pipes."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


class FilmProgress:
    """A bar with rate and remaining time on a terminal; nothing in a pipe or if `quiet`."""

    def __init__(self, total: int, *, done: int = 0, quiet: bool = False) -> None:
        """Show `done` of `total` films at the start."""
        self.console = console()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task("films", total=total, completed=done)

    def __enter__(self) -> FilmProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One film more is finished."""
        self._bar.advance(self._task)

    def say(self, text: str) -> None:
        """A line above the bar; it stays."""
        self.console.print(text, markup=False)


class _Rate(ProgressColumn):
    """Films a second."""

    def render(self, task: Task) -> Text:
        """`3.2 films/s` once there is something to go by."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} films/s", style="progress.data.speed")
