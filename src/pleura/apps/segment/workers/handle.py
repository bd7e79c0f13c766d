"""What the pool needs from worker processes, wherever they run: `Workers` and `WorkerHandle`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pleura.apps.segment.work import Ended
from pleura.apps.segment.workers.worker import NodeView, Ready
from pleura.core.errors import PleuraError
from pleura.io.run.find import FilmFile

__all__ = ["Answer", "Start", "WorkerHandle", "WorkerLost", "Workers"]

Start: TypeAlias = Ready | PleuraError
"""The answer of a worker that was asked to begin."""

Answer: TypeAlias = list[Ended] | PleuraError
"""The answer of a worker that was given a chunk of films."""


@dataclass
class WorkerLost(Exception):
    """A worker ended, or could not start."""

    text: str
    """The cause, as far as it is known."""

    crashed: bool
    """Whether its process ended, and not the machine that it ran on."""

    out_of_memory: bool = False

    def __str__(self) -> str:
        return self.text


class WorkerHandle(Protocol):
    """One worker process. Its futures fail with `WorkerLost`; other errors are defects."""

    def begin(self, seen: NodeView) -> Future[Start]:
        """Ask it to check that it sees the files of the run, and to load the network."""

    def do(self, films: Sequence[FilmFile], suspects: frozenset[str]) -> Future[Answer]:
        """Give it a chunk of films; it answers in the order of the calls."""

    def kill(self) -> None:
        """End it."""


class Workers(Protocol):
    """Starts worker processes."""

    advice: str
    """What a user can do if workers end before they can begin, after `check that`."""

    def start(self) -> WorkerHandle:
        """Start a worker; does not wait for it."""

    def room(self) -> int:
        """How many workers there is room for now."""
