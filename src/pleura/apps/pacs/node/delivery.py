"""Delivering results: one thread for each destination, which retries until all are stored."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass

from pleura.apps.pacs.client import Refused, Unreachable
from pleura.apps.pacs.destinations import CStore, Destination
from pleura.apps.pacs.log import LOG, describe_defect
from pleura.apps.pacs.node.commitment import Commitments
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import PendingDelivery
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.queue.reports import note_reports
from pleura.io.dicom.received import read_objects

__all__ = ["Delivery", "pause_s"]

MAX_ASKED_S = 600.0
"""The longest pause that a destination may ask for (Retry-After), seconds."""


@dataclass(slots=True)
class Delivery:
    """Sends results to one destination until it is stopped. No result is dropped."""

    queue: Queue
    folder: NodeFolder
    name: str
    destination: Destination
    wake: threading.Event
    """Set when there are results to send, and to stop."""

    stopping: threading.Event
    longest_wait_s: float
    commitments: Commitments | None = None
    """Where this asks for storage commitment; None for a destination that is not asked."""

    failures: int = 0
    """Failed tries in a row to reach the destination."""

    def run(self) -> None:
        """Deliver until `stopping` is set; results that are being sent are finished first."""
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                film = self.queue.next_delivery(self.name)
                if film is not None:
                    self._deliver(film)
            except Unreachable as error:
                self._pause(str(error), error.retry_after_s)
                continue
            except (sqlite3.Error, OSError) as error:
                self._pause(f"the disk of this node: {error}")
                continue
            if film is None:
                self.wake.wait(1.0)

    def _deliver(self, film: PendingDelivery) -> None:
        if not self.folder.results_of(film.number):
            LOG.warning("film %d: its results are no longer on the disk", film.number)
            self.queue.requeue_lost_results(film.number)
            return
        try:
            refusal = self._send(film)
        except Refused as error:
            self._retry_later(film, str(error))
            return
        except (Unreachable, sqlite3.Error, OSError):
            raise
        except Exception as error:  # one film must not block the others
            self._retry_later(film, describe_defect(error))
            return
        self._clear_trouble()
        if refusal:
            self._retry_later(film, refusal)
            return
        if self.commitments is not None and not film.committed:
            self._ask_to_keep(film, self.commitments)
            return
        complete, pixels = self.queue.mark_delivered(film, self.name)
        LOG.info("film %d delivered to %s", film.number, self.name)
        if complete:
            self.folder.delete_film(pixels)
            self.folder.delete_results(film.number)

    def _ask_to_keep(self, film: PendingDelivery, commitments: Commitments) -> None:
        """Ask for storage commitment; the film is delivered when it is given."""
        assert isinstance(self.destination, CStore)
        try:
            commitments.ask(film, self.destination, self.name)
        except (Refused, Unreachable) as error:
            self._retry_later(film, f"storage commitment: {error}")

    def _send(self, film: PendingDelivery) -> str:
        """Send the results that the destination does not have. Returns why it rejected some."""
        files = {path.name: path for path in self.folder.results_of(film.number)}
        unsent = sorted(files.keys() - film.stored)
        if not unsent:
            return ""
        objects = read_objects(files[name] for name in unsent)
        receipt = self.destination.send(objects)
        stored = {
            name
            for name, dataset in zip(unsent, objects, strict=True)
            if str(dataset.SOPInstanceUID) in receipt.stored
        }
        note_reports(
            self.queue,
            film.number,
            (dataset for dataset in objects if str(dataset.SOPInstanceUID) in receipt.stored),
        )
        self.queue.mark_stored(film, self.name, film.stored | stored)
        if receipt.coerced:
            self.queue.count("stored_with_changes")
            LOG.warning(
                "film %d: %s changed attributes of %d objects (B000)",
                *(film.number, self.name, len(receipt.coerced)),
            )
        return receipt.reason()

    def _retry_later(self, film: PendingDelivery, reason: str) -> None:
        wait_s = pause_s(film.attempts, self.longest_wait_s)
        self.queue.mark_rejected(film, self.name, reason, wait_s=wait_s)
        LOG.warning(
            "film %d not accepted by %s, next try in %g s: %s",
            *(film.number, self.name, wait_s, reason),
        )

    def _pause(self, reason: str, asked_s: float = 0.0) -> None:
        """Wait before the next try; as long as the destination asks for, up to the longest wait."""
        wait_s = max(pause_s(self.failures, self.longest_wait_s), asked_s)
        wait_s = min(wait_s, max(self.longest_wait_s, MAX_ASKED_S))
        self.failures += 1
        self.queue.set_trouble(self.name, reason)
        LOG.warning("%s cannot be reached, next try in %g s: %s", self.name, wait_s, reason)
        self.stopping.wait(wait_s)

    def _clear_trouble(self) -> None:
        self.failures = 0
        if self.queue.clear_trouble(self.name):
            LOG.info("%s is reached again", self.name)


def pause_s(failures: int, longest_s: float) -> float:
    """The pause before the next try: 1, 2, 4, ... seconds, up to `longest_s`."""
    return float(min(2.0 ** min(failures, 30), longest_s))
