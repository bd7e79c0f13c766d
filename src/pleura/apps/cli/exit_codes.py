"""Exit codes of the command line, and the answer to every error.

The exit codes are part of the interface; scripts rely on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pleura.core.errors import PleuraError

__all__ = ["Answer", "Exit", "answer"]


class Exit(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    UNEXPECTED = 1
    """A defect of ours, or the machine refused (disk full, no permission)."""

    USAGE = 2
    """An option, a path or a recipe is wrong."""

    FILMS_FAILED = 3
    """Some films could not be segmented, or some places not be read; all others are written."""

    DOUBTED = 4
    """With `--strict`: some films are to be reviewed or were refused; all are written."""

    WEIGHTS = 5
    """Weights are missing, altered, or made for another network."""

    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; `--resume` goes on."""

    UNHEARD = 141
    """Whoever read stdout has gone, as `head` does; `--resume` goes on."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door says when an error of some type reaches it."""

    exit_code: Exit
    http_status: int


def answer(error: BaseException) -> Answer:
    """The answer to `error`: its class's own, or that of a defect or an interruption."""
    if isinstance(error, PleuraError):
        return Answer(Exit(error.exit_code), error.http_status)
    if isinstance(error, KeyboardInterrupt):
        return Answer(Exit.INTERRUPTED, 503)
    return Answer(Exit.UNEXPECTED, 500)
