"""Everything Pleura raises on purpose.

PleuraError
├── FilmError           this film cannot be segmented; the run goes on with the next
│   ├── UnreadableFilm  not a file of any kind we know, or damaged
│   └── UnsuitableFilm  readable, but not a frontal chest radiograph we can work on
├── UsageError          an option, a path or a recipe is wrong
│   └── DataError       a data set on disk is not what its layout promises
├── OutputError         a file cannot be written: its name, its folder or the disk refuses it
│   └── DiskFull        no space is left, or a quota is used up: no other file can be written either
└── WeightsError        weights are missing, altered, or made for another network

A message says what was met, what was expected, and what to do. `FilmError` is what a
caller catches to skip a film; `PleuraError` is everything. Each class says how doors answer it:
`exit_code` of the command line, `http_status` of the service. A new class has those of its parent.
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


class FilmError(PleuraError):
    """A film that cannot be segmented; other films may be."""

    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 422


class UnreadableFilm(FilmError):
    """The bytes are no image format we know, or the file is damaged."""

    http_status: ClassVar[int] = 415


class UnsuitableFilm(FilmError):
    """The image is readable, but is no film that Pleura can segment."""


class UsageError(PleuraError):
    """An option, a path or a recipe is wrong; the message says how to put it right."""

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 400


class DataError(UsageError):
    """A data set does not hold what its layout promises."""


class OutputError(PleuraError):
    """A file cannot be written where it belongs."""

    http_status: ClassVar[int] = 507


class DiskFull(OutputError):
    """No space is left for any file, or a quota is used up."""


class WeightsError(PleuraError):
    """A weights file is missing, altered, or made for another network."""

    exit_code: ClassVar[int] = 5
    http_status: ClassVar[int] = 503
