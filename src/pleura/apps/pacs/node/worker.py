"""The worker: segments the films of the queue one by one, and writes their results."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pleura.apps.pacs.log import LOG, describe_defect
from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import MAX_ATTEMPTS, Entry
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.queue.reports import sent_reports
from pleura.apps.pacs.node.watchdog import Watchdog
from pleura.apps.pacs.results import FilmResults, verdict_text
from pleura.core.errors import FilmError, OutputError, UsageError, WeightsError
from pleura.io.dicom.objects.earlier import EarlierReport

__all__ = ["Maker", "Worker"]

SPACE = "space for results"
"""The name of the trouble when results cannot be written."""

PAUSE_S = 5.0
"""The pause before the next try when results cannot be written, seconds."""


class Maker(Protocol):
    """Makes DICOM results; `apps.pacs.results.ResultMaker` does."""

    @property
    def made_with(self) -> str:
        """The options that decide which results a film gets."""

    def files(self, film: Path, /, *, earlier: Sequence[EarlierReport]) -> FilmResults:
        """The results of a film's file; a report names the earlier ones."""

    def failure(
        self, film: Path, reason: str, /, *, earlier: Sequence[EarlierReport]
    ) -> dict[str, bytes]:
        """The report that a film was not segmented, and why; it names the earlier ones."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Segments films of the queue until it is stopped."""

    queue: Queue
    folder: NodeFolder
    maker: Maker
    """Makes the results of a film's file."""

    destinations: Sequence[str]
    wake: threading.Event
    """Set when a film has arrived, and to stop."""

    space: DiskSpace
    on_results: Callable[[], None]
    """Called when there are results to deliver."""

    stopping: threading.Event
    watchdog: Watchdog = field(default_factory=Watchdog)

    def run(self) -> None:
        """Segment until `stopping` is set; the current film is finished first.

        Raises:
            WeightsError: the network gives invalid numbers.
        """
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                film = self.queue.next_film()
                if film is not None:
                    with self.watchdog.watching(film.number):
                        self._segment(film)
                    self.queue.clear_trouble(SPACE)
            except (
                OutputError,
                UsageError,
                sqlite3.Error,
                OSError,
            ) as error:  # the disk is at fault, not the film
                self.queue.set_trouble(SPACE, f"results cannot be written: {error}")
                LOG.error("results cannot be written, next try in %g s: %s", PAUSE_S, error)
                self.stopping.wait(PAUSE_S)
                continue
            if film is None:
                self.wake.wait(1.0)

    def give_up_if_overdue(self) -> bool:
        """Give up the current film if it hangs.

        Returns True if it hangs; `run` may then never return.

        The film fails at the next start of the process.
        """
        number = self.watchdog.overdue()
        if number is None:
            return False
        LOG.error("film %d hangs: it is given up, and the node restarts", number)
        self.queue.give_up(number, f"it took longer than {self.watchdog.limit_s:g} s")
        return True

    def _segment(self, film: Entry) -> None:
        if film.attempts >= MAX_ATTEMPTS:
            ended = f"the node ended {film.attempts} times while working on it"
            self._fail(film, film.reason or ended)
            return
        path = self.folder.films / str(film.file)
        if not path.exists():
            self._fail(film, "its file is no longer in the folder; send the film again")
            return
        self.queue.begin_attempt(film.number)
        try:
            results = self.maker.files(path, earlier=sent_reports(self.queue, film.number))
            self._check_room(sum(map(len, results.files.values())))
            self.folder.write_results(film.number, results.files)
        except FilmError as error:
            self._fail(film, str(error))
            return
        except (OutputError, UsageError, sqlite3.Error, OSError):
            self.queue.undo_attempt(film.number)
            raise
        except WeightsError:  # every further film would fail too
            self.queue.undo_attempt(film.number)
            raise
        except Exception as error:  # one film must not stop the others
            self._fail(film, describe_defect(error))
            return
        self._hand_over(film, results)

    def _hand_over(self, film: Entry, results: FilmResults) -> None:
        """Queue the results, which are on the disk, for delivery."""
        if not self.queue.mark_segmented(
            film.number,
            self.destinations,
            verdict=results.quality.verdict,
            made_with=self.maker.made_with,
        ):
            self._discard(film)
            return
        verdict = verdict_text(results.quality)
        LOG.info("film %d segmented, %d results, %s", film.number, len(results.files), verdict)
        self.on_results()

    def _check_room(self, size: int) -> None:
        if not self.space.has_room_for_results(size):
            raise UsageError(f"{size} bytes of results would leave the disk too little free space")

    def _fail(self, film: Entry, reason: str) -> None:
        """Keep the film, and send a report of the failure to every destination."""
        hung_in_report = film.attempts >= 2 * MAX_ATTEMPTS
        reported = not hung_in_report and self._report_failure(film, reason)
        if not self.queue.mark_failed(film.number, reason, self.destinations if reported else ()):
            self._discard(film)
            return
        LOG.warning("film %d failed, its file is kept: %s", film.number, reason)
        if reported:
            self.on_results()

    def _discard(self, film: Entry) -> None:
        """Delete the results of a film that the operator dropped while it was segmented."""
        self.folder.delete_results(film.number)
        LOG.info("film %d was dropped by the operator while it was segmented", film.number)

    def _report_failure(self, film: Entry, reason: str) -> bool:
        try:
            earlier = sent_reports(self.queue, film.number)
            path = self.folder.films / str(film.file)
            report = self.maker.failure(path, reason, earlier=earlier)
        except Exception as error:  # the film fails with or without its report
            LOG.warning(
                "film %d: the report of its failure could not be made: %s",
                *(film.number, describe_defect(error)),
            )
            return False
        self.folder.write_results(film.number, report)
        return True
