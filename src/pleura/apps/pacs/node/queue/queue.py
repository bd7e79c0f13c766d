"""The queue of a node in SQLite. It survives kill -9 and a loss of power at any time.

Every change is one transaction, and is on the disk before the call returns (WAL, synchronous=FULL).
A hash of the SOPInstanceUID identifies a film: a film that is sent again is recognised, and the
database contains no patient data.

A film is `waiting` for the network, `segmented` (its results are on the disk), `delivered`,
`failed` (its file is kept), or `dropped` by the operator.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pleura.apps.pacs.node.queue.entries import (
    COMMITTED,
    MAX_ATTEMPTS,
    Accepted,
    Added,
    Entry,
    PendingDelivery,
    State,
    hash_uid,
    pixels_differ,
)
from pleura.apps.pacs.node.queue.schema import update_tables
from pleura.core.errors import UsageError

__all__ = ["VERDICT", "Queue"]

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=200",  # pages of 4 KB: the log stays small on a small disk
    "temp_store=MEMORY",
)
_WAITS = """
CREATE TEMP TABLE waits (
    number INTEGER, destination TEXT, attempts INTEGER, commitment TEXT, until REAL,
    PRIMARY KEY (number, destination)
)"""
"""When rejected results may be sent again, or storage commitment asked for again, by the monotonic
clock. The table is temporary. An entry is ignored once its delivery has changed."""

_DELIVERY = "d.number, d.attempts, d.stored, d.result_set, d.commitment"
_THIS_DELIVERY = "number = ? AND destination = ? AND result_set = ?"

VERDICT = "verdict "
"""The prefix of verdicts among the counts; each segmented film adds one."""


class Queue:
    """The queue of one node. Methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the queue, or make it.

        Raises:
            UsageError: the file is not a queue, or cannot be written.
        """
        self._lock = threading.RLock()
        try:
            self._base = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            for pragma in _PRAGMAS:
                self._base.execute(f"PRAGMA {pragma}")
            update_tables(self._base)
            self._base.execute(_WAITS)
        except sqlite3.Error as error:
            raise UsageError(
                f"the queue {path} cannot be used ({error}); free space on its disk, or move it "
                "away to begin with an empty one"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def add(self, uid: str, file: str, *, sender: str, size: int, pixels: str = "") -> Added:
        """Add the film in `file`; a known film is added only if it has failed or was dropped.

        `pixels` is the transfer syntax and the hash of its pixels.
        """
        key, now = hash_uid(uid), time.time()
        with self.change() as base:
            existing = base.execute(
                "SELECT number, state, file, pixels FROM films WHERE uid_sha256 = ?", (key,)
            ).fetchone()
            if existing is None:
                added = base.execute(
                    "INSERT INTO films (uid_sha256, state, file, sender, size, received, changed,"
                    " pixels) VALUES (?, 'waiting', ?, ?, ?, ?, ?, ?)",
                    (key, file, sender, size, now, now, pixels),
                )
                return Added(Accepted.new, int(added.lastrowid or 0))
            number, state, earlier, earlier_pixels = existing
            if state not in (State.failed, State.dropped):
                changed = pixels_differ(earlier_pixels, pixels)
                self._count(base, "changed" if changed else "duplicates")
                return Added(Accepted.changed if changed else Accepted.duplicate, number)
            base.execute("DELETE FROM deliveries WHERE number = ?", (number,))
            base.execute(
                "UPDATE films SET state = 'waiting', file = ?, size = ?, changed = ?, attempts = 0,"
                " reason = NULL, pixels = ? WHERE number = ?",
                (file, size, now, pixels, number),
            )
            return Added(Accepted.again, number, earlier)

    def next_film(self) -> Entry | None:
        """The oldest film that waits for the network, or None."""
        row = self._row(
            "SELECT number, file, attempts, reason FROM films WHERE state = 'waiting'"
            " ORDER BY number LIMIT 1"
        )
        return None if row is None else Entry(*row)

    def begin_attempt(self, number: int) -> None:
        """Count an attempt to segment the film, before it begins: it may end the process."""
        with self.change() as base:
            base.execute("UPDATE films SET attempts = attempts + 1 WHERE number = ?", (number,))

    def undo_attempt(self, number: int) -> None:
        """Subtract an attempt that failed for another reason than the film."""
        with self.change() as base:
            base.execute("UPDATE films SET attempts = attempts - 1 WHERE number = ?", (number,))

    def give_up(self, number: int, reason: str) -> None:
        """Make a film that hangs fail, with this reason, at its next attempt."""
        with self.change() as base:
            base.execute(
                "UPDATE films SET attempts = attempts + ?, reason = ? WHERE number = ?"
                " AND state = 'waiting'",
                (MAX_ATTEMPTS, reason, number),
            )

    def mark_segmented(
        self, number: int, destinations: Iterable[str], *, verdict: str, made_with: str = ""
    ) -> bool:
        """Record that the results are on the disk, and queue them for these destinations.

        A film that was segmented before, with other options, is sent to those that lacked its
        earlier results. Returns False, and changes nothing, if the film no longer waits.
        """
        with self.change() as base:
            if not self._end_waiting(base, number, State.segmented):
                return False
            base.execute("UPDATE films SET made_with = ? WHERE number = ?", (made_with, number))
            self._count(base, f"{VERDICT}{verdict}")
            self._add_deliveries(base, number, destinations)
            return True

    def mark_failed(self, number: int, reason: str, destinations: Iterable[str] = ()) -> bool:
        """Record that the film cannot be segmented, and queue its report for `destinations`.

        Returns False, and changes nothing, if the film no longer waits.
        """
        with self.change() as base:
            if not self._end_waiting(base, number, State.failed, reason):
                return False
            self._add_deliveries(base, number, destinations)
            return True

    def segment_again(self, *, unless_made_with: str) -> int:
        """Queue again the films whose results were made with other options.

        Films whose results are all delivered are left alone. Returns the number of queued films.
        """
        with self.change() as base:
            return base.execute(
                "UPDATE films SET state = 'waiting', attempts = 0, changed = ?"
                " WHERE state = 'segmented' AND made_with != ?",
                (time.time(), unless_made_with),
            ).rowcount

    def requeue_lost_results(self, number: int) -> None:
        """Queue again a film whose result files are lost; delete the deliveries of a lost report.

        A report is the only result of a failed film, which is not segmented again.
        """
        with self.change() as base:
            base.execute(
                "UPDATE films SET state = 'waiting', attempts = 0 WHERE number = ?"
                " AND state = 'segmented'",
                (number,),
            )
            base.execute(
                "DELETE FROM deliveries WHERE number = ? AND number IN"
                " (SELECT number FROM films WHERE state = 'failed')",
                (number,),
            )

    def next_delivery(self, destination: str) -> PendingDelivery | None:
        """The oldest film whose results may be sent to `destination` now, or None."""
        row = self._row(
            f"SELECT {_DELIVERY} FROM deliveries AS d"
            " JOIN films AS f USING (number)"
            " WHERE d.destination = ? AND f.state IN ('segmented', 'failed')"
            " AND NOT EXISTS (SELECT 1 FROM waits AS w WHERE w.number = d.number"
            " AND w.destination = d.destination AND w.attempts = d.attempts"
            " AND w.commitment IS d.commitment AND w.until > ?)"
            " ORDER BY d.number LIMIT 1",
            (destination, time.monotonic()),
        )
        return None if row is None else PendingDelivery.of_row(row)

    def mark_stored(self, film: PendingDelivery, destination: str, files: Iterable[str]) -> None:
        """Record that a destination has these result files, which may not be all."""
        with self.change() as base:
            base.execute(
                f"UPDATE deliveries SET stored = ? WHERE {_THIS_DELIVERY}",
                (" ".join(sorted(files)), *_values(film, destination)),
            )

    def mark_delivered(self, film: PendingDelivery, destination: str) -> tuple[bool, str | None]:
        """Record that a destination has all results of a film.

        Returns whether all destinations have them now, and the film's file if it is not needed.
        """
        with self.change() as base:
            number = film.number
            gone = base.execute(
                f"DELETE FROM deliveries WHERE {_THIS_DELIVERY}", _values(film, destination)
            )
            remaining = base.execute("SELECT 1 FROM deliveries WHERE number = ?", (number,))
            if not gone.rowcount or remaining.fetchone() is not None:
                return False, None
            state, file = base.execute(
                "SELECT state, file FROM films WHERE number = ?", (number,)
            ).fetchone()
            if state != State.segmented:
                return True, None
            self._set_state(base, number, State.delivered)
            base.execute("UPDATE films SET file = NULL WHERE number = ?", (number,))
            return True, file

    def mark_rejected(
        self, film: PendingDelivery, destination: str, reason: str, *, wait_s: float
    ) -> None:
        """Record that a destination rejected results; send them again after `wait_s` seconds."""
        change = "attempts = attempts + 1, commitment = NULL, reason = ?"
        self._postpone(film, destination, change, reason, wait_s)

    def mark_asked(
        self, film: PendingDelivery, destination: str, transaction: str, *, wait_s: float
    ) -> None:
        """Record that a destination was asked for storage commitment in `transaction`.

        It is asked again after `wait_s` seconds.
        """
        self._postpone(film, destination, "commitment = ?", transaction, wait_s)

    def _postpone(
        self, film: PendingDelivery, destination: str, change: str, value: str, wait_s: float
    ) -> None:
        """Change a delivery, and wait before it is next due. `change` is SQL with one `?`."""
        values = _values(film, destination)
        with self.change() as base:
            base.execute(f"UPDATE deliveries SET {change} WHERE {_THIS_DELIVERY}", (value, *values))
            self._wait(base, values, wait_s)

    def delivery_of(self, transaction: str) -> tuple[PendingDelivery, str] | None:
        """The delivery of a storage commitment transaction, and its destination; or None."""
        row = self._row(
            f"SELECT {_DELIVERY}, d.destination FROM deliveries AS d WHERE commitment = ?"
            " AND commitment != ?",
            (transaction, COMMITTED),
        )
        return None if row is None else (PendingDelivery.of_row(row[:-1]), row[-1])

    def mark_committed(self, film: PendingDelivery, destination: str) -> None:
        """Record that a destination gave storage commitment; the delivery can be completed now."""
        with self.change() as base:
            base.execute(
                f"UPDATE deliveries SET commitment = ? WHERE {_THIS_DELIVERY}",
                (COMMITTED, *_values(film, destination)),
            )

    def count(self, event: str, number: int = 1) -> None:
        """Count an event that is not a state of a film."""
        with _unless_disk_is_full(), self.change() as base:
            self._count(base, event, number)

    def set_trouble(self, place: str, text: str) -> None:
        """Record a problem of the disk or of a destination."""
        with _unless_disk_is_full(), self.change() as base:
            base.execute(
                "INSERT INTO troubles VALUES (?, ?, ?) ON CONFLICT (place) DO UPDATE"
                " SET text = excluded.text",
                (place, text, time.time()),
            )

    def clear_trouble(self, place: str) -> bool:
        """Remove the problem of a disk or destination. Returns whether there was one."""
        with _unless_disk_is_full(), self.change() as base:
            return base.execute("DELETE FROM troubles WHERE place = ?", (place,)).rowcount > 0
        return False

    def kept_files(self) -> tuple[set[str], set[int]]:
        """The names of the films' files, and the numbers of the films that have results."""
        with self._lock:
            files = self._base.execute("SELECT file FROM films WHERE file IS NOT NULL").fetchall()
            numbers = self._base.execute(
                "SELECT number FROM films WHERE state = 'segmented'"
                " UNION SELECT number FROM deliveries"
            ).fetchall()
            return {row[0] for row in files}, {row[0] for row in numbers}

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; it is on the disk after the block."""
        with self._lock:
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    def _row(self, query: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._base.execute(query, values).fetchone()
        return row

    @staticmethod
    def _add_deliveries(base: sqlite3.Connection, number: int, destinations: Iterable[str]) -> None:
        """Add the deliveries of new results, or keep those that earlier results still have."""
        base.execute("UPDATE films SET result_sets = result_sets + 1 WHERE number = ?", (number,))
        left = base.execute("SELECT 1 FROM deliveries WHERE number = ?", (number,)).fetchone()
        if left is None:
            base.executemany(
                "INSERT OR IGNORE INTO deliveries (number, destination) VALUES (?, ?)",
                [(number, destination) for destination in destinations],
            )
        base.execute(
            "UPDATE deliveries SET attempts = 0, reason = NULL, commitment = NULL, result_set ="
            " (SELECT result_sets FROM films AS f WHERE f.number = deliveries.number)"
            " WHERE number = ?",
            (number,),
        )

    @staticmethod
    def _wait(base: sqlite3.Connection, delivery: tuple[int, str, int], wait_s: float) -> None:
        """Send nothing of a delivery for `wait_s` seconds."""
        base.execute(
            "INSERT OR REPLACE INTO waits SELECT number, destination, attempts, commitment, ?"
            f" FROM deliveries WHERE {_THIS_DELIVERY}",
            (time.monotonic() + wait_s, *delivery),
        )

    @staticmethod
    def _end_waiting(
        base: sqlite3.Connection, number: int, state: State, reason: str | None = None
    ) -> bool:
        """Change the state of a film that waits. Returns whether it did wait."""
        row = base.execute("SELECT state FROM films WHERE number = ?", (number,)).fetchone()
        if row is None or row[0] != State.waiting:
            return False
        Queue._set_state(base, number, state, reason)
        return True

    @staticmethod
    def _set_state(
        base: sqlite3.Connection, number: int, state: State, reason: str | None = None
    ) -> None:
        base.execute(
            "UPDATE films SET state = ?, reason = ?, changed = ? WHERE number = ?",
            (state.value, reason, time.time(), number),
        )

    @staticmethod
    def _count(base: sqlite3.Connection, event: str, number: int = 1) -> None:
        base.execute(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (what) DO UPDATE"
            " SET number = number + excluded.number",
            (event, number),
        )


def _values(film: PendingDelivery, destination: str) -> tuple[int, str, int]:
    """The values of `_THIS_DELIVERY`."""
    return film.number, destination, film.result_set


def _unless_disk_is_full() -> suppress:
    """Skip the change on a full disk; the log has the event."""
    return suppress(sqlite3.OperationalError)
