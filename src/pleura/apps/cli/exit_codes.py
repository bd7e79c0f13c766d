"""The exit codes of the command line.

The class statement of an error has its exit code: in `core.errors`, and in `apps.serve.errors` for
rejected requests. Scripts rely on these numbers: they do not change.
"""

from __future__ import annotations

from enum import IntEnum

from pleura.core.errors import PleuraError

__all__ = ["Exit", "exit_code"]


class Exit(IntEnum):
    """The exit codes of the command line."""

    DONE = 0
    UNEXPECTED = 1
    """A defect of Pleura, or of the machine (disk full, no permission)."""

    USAGE = 2
    """An option, a path or a recipe is wrong."""

    FILMS_FAILED = 3
    """Some films could not be segmented, or some folders not read; the results of the others are
    written."""

    NOT_ALL_OK = 4
    """With `--strict`: some films are to review or refused; all results are written."""

    WEIGHTS = 5
    """Weights are missing, altered, or made for another network."""

    NODE_TROUBLE = 6
    """`pleura node status`: the node does not run, or something keeps it from its work."""

    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; `--resume` continues."""

    BROKEN_PIPE = 141
    """The reader of stdout closed it, as `head` does; `--resume` continues."""


def exit_code(error: BaseException) -> Exit:
    """The exit code for an error: that of its class, of an interruption, or of a defect."""
    if isinstance(error, PleuraError):
        return Exit(error.exit_code)
    return Exit.INTERRUPTED if isinstance(error, KeyboardInterrupt) else Exit.UNEXPECTED
