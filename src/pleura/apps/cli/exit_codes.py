"""How every door answers an error: one table, from the error's type to a code.

The exit codes are part of the interface; scripts rely on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pleura.apps.serve.problems import (
    Busy,
    CutOff,
    ForeignOrigin,
    KeyNeeded,
    NotOffered,
    Stopping,
    TookTooLong,
    TooLarge,
    TooSlow,
    UnknownHost,
)
from pleura.core.errors import (
    FilmError,
    OutputError,
    PleuraError,
    UnreadableFilm,
    UnsuitableFilm,
    UsageError,
    WeightsError,
)

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


_ANSWERS: dict[type[BaseException], Answer] = {
    UnreadableFilm: Answer(Exit.FILMS_FAILED, 415),
    UnsuitableFilm: Answer(Exit.FILMS_FAILED, 422),
    FilmError: Answer(Exit.FILMS_FAILED, 422),
    UsageError: Answer(Exit.USAGE, 400),
    WeightsError: Answer(Exit.WEIGHTS, 503),
    OutputError: Answer(Exit.UNEXPECTED, 507),
    CutOff: Answer(Exit.USAGE, 400),
    KeyNeeded: Answer(Exit.USAGE, 401),
    ForeignOrigin: Answer(Exit.USAGE, 403),
    NotOffered: Answer(Exit.USAGE, 406),
    TooSlow: Answer(Exit.USAGE, 408),
    TooLarge: Answer(Exit.USAGE, 413),
    UnknownHost: Answer(Exit.USAGE, 421),
    Busy: Answer(Exit.UNEXPECTED, 503),
    Stopping: Answer(Exit.UNEXPECTED, 503),
    TookTooLong: Answer(Exit.UNEXPECTED, 504),
    PleuraError: Answer(Exit.UNEXPECTED, 500),
    KeyboardInterrupt: Answer(Exit.INTERRUPTED, 503),
    BaseException: Answer(Exit.UNEXPECTED, 500),
}


def answer(error: BaseException) -> Answer:
    """The answer to `error`: that of the nearest of its types in the table."""
    return next(_ANSWERS[each] for each in type(error).__mro__ if each in _ANSWERS)
