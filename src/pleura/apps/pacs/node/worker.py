"""Segmenting: one film after the other, from the queue to results on the disk."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pleura.apps.pacs.log import LOG, defect
from pleura.apps.pacs.node.folder import NodeFolder, Space
from pleura.apps.pacs.node.queue import Entry, Queue
from pleura.apps.pacs.results import Made, in_short
from pleura.core.errors import FilmError, OutputError, UsageError, WeightsError

__all__ = ["MOST_ATTEMPTS", "Worker"]

MOST_ATTEMPTS = 5
"""A film at which the process ended so often is not tried again: it would end it for ever."""

SPACE = "space for results"
PAUSE_S = 5.0
"""Before the next try, when the disk takes no results."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Takes films from the queue until it is told to stop."""

    queue: Queue
    folder: NodeFolder
    make: Callable[[Path], Made]
    """A film's file -> its results."""

    destinations: Sequence[str]
    wake: threading.Event
    """Set when a film has come, and to stop."""

    space: Space
    made: Callable[[], None]
    """Called when there is something to deliver."""

    stopping: threading.Event

    def run(self) -> None:
        """Segment until `stopping` is set; the film that is under way is finished first.

        Raises:
            WeightsError: the network answers nonsense.
        """
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                film = self.queue.next_film()
                if film is not None:
                    self._segment(film)
                    self.queue.no_trouble(SPACE)
            except (
                OutputError,
                UsageError,
                sqlite3.Error,
                OSError,
            ) as error:  # the disk, and not the film
                self.queue.trouble(SPACE, f"results cannot be written: {error}", wait_s=PAUSE_S)
                LOG.error("results cannot be written, next try in %g s: %s", PAUSE_S, error)
                self.stopping.wait(PAUSE_S)
                continue
            if film is None:
                self.wake.wait(1.0)

    def _segment(self, film: Entry) -> None:
        if film.attempts >= MOST_ATTEMPTS:
            self._fail(film, f"the node ended {film.attempts} times while working on it")
            return
        self.queue.begin(film.number)
        try:
            made = self.make(self.folder.films / str(film.file))
            self._check_room(sum(map(len, made.files.values())))
            self.folder.keep_results(film.number, made.files)
        except FilmError as error:
            self._fail(film, str(error))
            return
        except (OutputError, UsageError, sqlite3.Error, OSError):
            self.queue.put_back(film.number)
            raise
        except WeightsError:  # every further film would fail
            self.queue.put_back(film.number)
            raise
        except Exception as error:  # the edge: one film must not take the others with it
            self._fail(film, defect(error))
            return
        self.queue.segmented(film.number, self.destinations, verdict=made.quality.verdict)
        said = in_short(made.quality)
        LOG.info("film %d segmented, %d results, %s", film.number, len(made.files), said)
        self.made()

    def _check_room(self, size: int) -> None:
        if not self.space.takes_results(size):
            raise UsageError(f"{size} bytes of results would leave the disk too little free space")

    def _fail(self, film: Entry, reason: str) -> None:
        self.queue.failed(film.number, reason)
        self.folder.drop_film(film.file)
        LOG.warning("film %d failed: %s", film.number, reason)
