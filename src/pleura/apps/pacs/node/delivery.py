"""Delivering: each destination on a thread of its own, again and again until it has everything."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass

from pleura.apps.pacs.client import Refused, Unreachable
from pleura.apps.pacs.destinations import Destination
from pleura.apps.pacs.log import LOG, defect
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue import Entry, Queue

__all__ = ["Delivery", "pause_s"]


@dataclass(slots=True)
class Delivery:
    """Takes results to one destination until it is told to stop; nothing is ever given up."""

    queue: Queue
    folder: NodeFolder
    name: str
    destination: Destination
    wake: threading.Event
    """Set when there is something to deliver, and to stop."""

    stopping: threading.Event
    longest_wait_s: float
    failures: int = 0
    """In a row, to reach it at all."""

    def run(self) -> None:
        """Deliver until `stopping` is set; what is on its way is finished first."""
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                film = self.queue.due(self.name)
                if film is not None:
                    self._deliver(film)
            except Unreachable as error:
                self._wait(str(error))
                continue
            except (sqlite3.Error, OSError) as error:
                self._wait(f"our own disk: {error}")
                continue
            if film is None:
                self.wake.wait(1.0)

    def _deliver(self, film: Entry) -> None:
        try:
            self.destination.send(self.folder.results_of(film.number))
        except Refused as error:
            self._refused(film, str(error))
            return
        except (Unreachable, sqlite3.Error, OSError):
            raise
        except Exception as error:  # the edge: one film must not hold up the others
            self._refused(film, defect(error))
            return
        self._reached()
        pixels = self.queue.delivered(film.number, self.name)
        LOG.info("film %d delivered to %s", film.number, self.name)
        if pixels is not None:
            self.folder.drop_film(pixels)
            self.folder.drop_results(film.number)

    def _refused(self, film: Entry, reason: str) -> None:
        wait_s = pause_s(film.attempts, self.longest_wait_s)
        self.queue.refused(film.number, self.name, reason, wait_s=wait_s)
        LOG.warning(
            "film %d not taken by %s, next try in %g s: %s", film.number, self.name, wait_s, reason
        )

    def _wait(self, reason: str) -> None:
        wait_s = pause_s(self.failures, self.longest_wait_s)
        self.failures += 1
        self.queue.trouble(self.name, reason, wait_s=wait_s)
        LOG.warning("%s cannot be reached, next try in %g s: %s", self.name, wait_s, reason)
        self.stopping.wait(wait_s)

    def _reached(self) -> None:
        self.failures = 0
        if self.queue.no_trouble(self.name):
            LOG.info("%s is reached again", self.name)


def pause_s(failures: int, longest_s: float) -> float:
    """Seconds to the next try: 1, 2, 4, ... up to `longest_s`."""
    return float(min(2.0 ** min(failures, 30), longest_s))
