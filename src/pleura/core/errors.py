"""The errors that Pleura raises on purpose.

PleuraError
├── FilmError           this film cannot be segmented; the run continues with the next
│   ├── UnreadableFilm  an unknown file format, or a damaged file
│   └── UnsuitableFilm  readable, but not a frontal chest radiograph we can work on
├── UsageError          an option, a path or a recipe is wrong
│   └── DataError       a data set on disk does not have what its layout requires
├── OutputError         a file cannot be written: its name, its folder or the disk is the cause
│   └── DiskFull        no space is left, or a quota is used up: no other file can be written either
└── WeightsError        weights are missing, altered, or made for another network

A message states what was met, what was expected, and what to do. A caller catches `FilmError` to
skip a film, and `PleuraError` to handle every error of Pleura. Each class has an `exit_code` for
the command line and an `http_status` for the service; a new class takes those of its parent.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DataError",
    "DiskFull",
    "FilmError",
    "OutputError",
    "PleuraError",
    "UnreadableFilm",
    "UnsuitableFilm",
    "UsageError",
    "WeightsError",
]


class PleuraError(Exception):
    """Anything Pleura raises on purpose; its text is meant for the user."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init_subclass__(
        cls, *, exit_code: int | None = None, http_status: int | None = None
    ) -> None:
        """Set the code and the status of the new class; None takes those of its parent."""
        super().__init_subclass__()
        cls.exit_code = cls.exit_code if exit_code is None else exit_code
        cls.http_status = cls.http_status if http_status is None else http_status


class FilmError(PleuraError, exit_code=3, http_status=422):
    """A film that cannot be segmented; other films may be."""


class UnreadableFilm(FilmError, http_status=415):
    """The bytes are of an unknown image format, or the file is damaged."""


class UnsuitableFilm(FilmError):
    """The image is readable, but is no film that Pleura can segment."""

    def __init__(self, text: str, *, can_force: bool = False) -> None:
        """With `can_force` the film is segmented if `ReadOptions.photographs` is set."""
        super().__init__(text)
        self.can_force = can_force


class UsageError(PleuraError, exit_code=2, http_status=400):
    """An option, a path or a recipe is wrong; the message names the correction."""


class DataError(UsageError):
    """A data set on disk does not have what its layout requires."""


class OutputError(PleuraError, http_status=507):
    """A file cannot be written: its name, its folder or the disk is the cause."""


class DiskFull(OutputError):
    """No space is left for any file, or a quota is used up."""


class WeightsError(PleuraError, exit_code=5, http_status=503):
    """A weights file is missing, altered, or made for another network."""
