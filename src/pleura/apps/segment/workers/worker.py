"""A worker: one process with one segmenter, which segments films in chunks."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pleura._version import __version__
from pleura.apps.segment.work import Ended, FilmWork, Opener, Watch
from pleura.core.errors import PleuraError, UsageError
from pleura.core.types import Provenance
from pleura.io.run.find import FilmFile
from pleura.io.run.lock import LOCK

__all__ = ["NodeView", "Ready", "Worker", "view_of_run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """The files of the run, which every worker must see at the same paths."""

    version: str
    """The version of Pleura."""

    lock: Path
    """The lock file of the output folder, an absolute path."""

    lock_text: str
    film: Path | None
    """A film that exists; None if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A worker that can begin."""

    host: str
    """The name of the worker's machine."""

    provenance: Provenance


def view_of_run(work: FilmWork, films: Sequence[FilmFile]) -> NodeView:
    """The files as this process sees them; the output folder must be locked."""
    lock = work.place.records.absolute() / LOCK
    existing = (film.path for film in films if os.path.isfile(film.path))  # noqa: PTH113
    return NodeView(
        version=__version__,
        lock=lock,
        lock_text=lock.read_text(encoding="utf-8"),
        film=next(existing, None),
    )


class Worker:
    """Segments films with `FilmWork`, as a run in one process does.

    Errors of Pleura are returned, not raised: Ray would change their class and text.
    """

    def __init__(self, work: FilmWork, opener: Opener) -> None:
        self._work, self._opener = work, opener

    def begin(self, seen: NodeView) -> Ready | PleuraError:
        """Check that this node sees what the run needs, and load the network."""
        try:
            _check(seen)
            self._segmenter = self._opener(self._work.lanes)
        except PleuraError as error:
            return error
        return Ready(host=socket.gethostname(), provenance=self._segmenter.provenance)

    def do(self, films: Sequence[FilmFile], suspects: frozenset[str]) -> list[Ended] | PleuraError:
        """Segment a chunk of films; `suspects` are read in a decoder process."""
        try:
            return list(self._work.done(films, self._segmenter, Watch(suspects=suspects)))
        except PleuraError as error:
            return error


def _check(seen: NodeView) -> None:
    """Raise `UsageError` if this node has another version of Pleura, or other folders."""
    here = f"the node {socket.gethostname()}"
    if __version__ != seen.version:
        raise UsageError(
            f"{here} has Pleura {__version__} on Python {platform.python_version()}, and this "
            f"command is Pleura {seen.version}: install the same version on all nodes"
        )
    try:
        same = seen.lock.read_text(encoding="utf-8") == seen.lock_text
    except OSError:
        same = False
    if not same:
        raise UsageError(
            f"{here} does not see the output folder {seen.lock.parent}: give a folder that all "
            "nodes share at the same path, such as a network file system"
        )
    if seen.film is not None and not os.path.isfile(seen.film):  # noqa: PTH113
        raise UsageError(
            f"{here} does not see the film {seen.film}: mount the folder of the films at the same "
            "path on all nodes"
        )
