"""The queue of a node in SQLite. It survives kill -9 and a loss of power at any time.

Every change is one transaction, and is on the disk before the call returns (WAL, synchronous=FULL).
A hash of the SOPInstanceUID identifies a film: a film that is sent again is recognised, and the
file holds no identity.

A film is `waiting` for the network, `segmented` (its results are on the disk), `delivered`,
`failed` (its pixels are kept), or `dropped` by the operator.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pleura.apps.pacs.node.queue.schema import update_tables
from pleura.core.errors import UsageError

__all__ = [
    "VERDICT",
    "Accepted",
    "Added",
    "Entry",
    "PendingDelivery",
    "Queue",
    "State",
    "hash_uid",
]

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=200",  # pages of 4 KB: the log stays small on a small disk
    "temp_store=MEMORY",
)
_WAITS = """
CREATE TEMP TABLE waits (
    number INTEGER, destination TEXT, attempts INTEGER, until REAL,
    PRIMARY KEY (number, destination)
)"""
"""When rejected results may be sent again, by the monotonic clock; it ends with the process."""

VERDICT = "verdict "
"""The prefix of verdicts among the counts; each segmented film adds one."""


class State(StrEnum):
    """The state of a film."""

    waiting = "waiting"
    segmented = "segmented"
    delivered = "delivered"
    failed = "failed"
    dropped = "dropped"


class Accepted(StrEnum):
    """The outcome of `Queue.add`."""

    new = "new"
    again = "again"
    """The film had failed or was dropped, and is tried again."""

    duplicate = "duplicate"


@dataclass(frozen=True, slots=True)
class Entry:
    """A film in the queue."""

    number: int
    file: str | None
    attempts: int
    """Earlier attempts to segment it."""


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """Results of a film that a destination does not have yet."""

    number: int
    attempts: int
    """Earlier attempts to deliver them."""

    stored: frozenset[str]
    """The result files that the destination has already."""


@dataclass(frozen=True, slots=True)
class Added:
    """The outcome of `Queue.add`."""

    accepted: Accepted
    number: int
    replaced: str | None = None
    """The film's earlier file, which is not needed any more."""


def hash_uid(uid: str) -> str:
    """The SHA-256 of a UID, which the queue holds instead of the UID."""
    return hashlib.sha256(uid.encode()).hexdigest()


class Queue:
    """The queue of one node. Methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open the queue, or make it.

        Raises:
            UsageError: the file is no queue, or cannot be written.
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

    def add(self, uid: str, file: str, *, sender: str, size: int) -> Added:
        """Add a film whose pixels are in `file`; a known film only if it had failed or dropped."""
        key, now = hash_uid(uid), time.time()
        with self._change() as base:
            existing = base.execute(
                "SELECT number, state, file FROM films WHERE uid_sha256 = ?", (key,)
            ).fetchone()
            if existing is None:
                added = base.execute(
                    "INSERT INTO films (uid_sha256, state, file, sender, size, received, changed)"
                    " VALUES (?, 'waiting', ?, ?, ?, ?, ?)",
                    (key, file, sender, size, now, now),
                )
                return Added(Accepted.new, int(added.lastrowid or 0))
            number, state, earlier = existing
            if state not in (State.failed, State.dropped):
                self._count(base, "duplicates")
                return Added(Accepted.duplicate, number)
            base.execute("DELETE FROM deliveries WHERE number = ?", (number,))
            base.execute(
                "UPDATE films SET state = 'waiting', file = ?, size = ?, changed = ?, attempts = 0,"
                " reason = NULL WHERE number = ?",
                (file, size, now, number),
            )
            return Added(Accepted.again, number, earlier)

    def next_film(self) -> Entry | None:
        """The oldest film that waits for the network, or None."""
        row = self._row(
            "SELECT number, file, attempts FROM films WHERE state = 'waiting'"
            " ORDER BY number LIMIT 1"
        )
        return None if row is None else Entry(*row)

    def begin_attempt(self, number: int) -> None:
        """Count an attempt to segment the film, also if it ends the process."""
        with self._change() as base:
            base.execute("UPDATE films SET attempts = attempts + 1 WHERE number = ?", (number,))

    def undo_attempt(self, number: int) -> None:
        """Do not count the attempt: it failed for another reason than the film."""
        with self._change() as base:
            base.execute("UPDATE films SET attempts = attempts - 1 WHERE number = ?", (number,))

    def mark_segmented(self, number: int, destinations: Iterable[str], *, verdict: str) -> None:
        """The results are on the disk, and are to be sent to these destinations."""
        with self._change() as base:
            self._set_state(base, number, State.segmented)
            self._count(base, f"{VERDICT}{verdict}")
            self._add_deliveries(base, number, destinations)

    def mark_failed(self, number: int, reason: str, destinations: Iterable[str] = ()) -> None:
        """The film cannot be segmented. Its file is kept; its report goes to `destinations`."""
        with self._change() as base:
            self._set_state(base, number, State.failed, reason)
            self._add_deliveries(base, number, destinations)

    def next_delivery(self, destination: str) -> PendingDelivery | None:
        """The oldest film whose results may be sent to `destination` now, or None."""
        row = self._row(
            "SELECT number, attempts, stored FROM deliveries AS d WHERE destination = ?"
            " AND NOT EXISTS (SELECT 1 FROM waits AS w WHERE w.number = d.number"
            " AND w.destination = d.destination AND w.attempts = d.attempts AND w.until > ?)"
            " ORDER BY number LIMIT 1",
            (destination, time.monotonic()),
        )
        return None if row is None else PendingDelivery(row[0], row[1], frozenset(row[2].split()))

    def mark_stored(self, number: int, destination: str, files: Iterable[str]) -> None:
        """A destination has these result files, and perhaps not all."""
        with self._change() as base:
            base.execute(
                "UPDATE deliveries SET stored = ? WHERE number = ? AND destination = ?",
                (" ".join(sorted(files)), number, destination),
            )

    def mark_delivered(self, number: int, destination: str) -> tuple[bool, str | None]:
        """A destination has all results of a film.

        Returns whether no destination lacks them any more, and the film's file if it is not needed.
        """
        with self._change() as base:
            gone = base.execute(
                "DELETE FROM deliveries WHERE number = ? AND destination = ?", (number, destination)
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

    def mark_refused(self, number: int, destination: str, reason: str, *, wait_s: float) -> None:
        """A destination rejected results; they are sent again after `wait_s` seconds."""
        with self._change() as base:
            base.execute(
                "UPDATE deliveries SET attempts = attempts + 1, reason = ?"
                " WHERE number = ? AND destination = ?",
                (reason, number, destination),
            )
            base.execute(
                "INSERT OR REPLACE INTO waits SELECT number, destination, attempts, ?"
                " FROM deliveries WHERE number = ? AND destination = ?",
                (time.monotonic() + wait_s, number, destination),
            )

    def count(self, event: str) -> None:
        """Count an event that is not a state of a film."""
        with _unless_disk_is_full(), self._change() as base:
            self._count(base, event)

    def set_trouble(self, place: str, text: str) -> None:
        """Record a trouble of the disk or of a destination."""
        with _unless_disk_is_full(), self._change() as base:
            base.execute(
                "INSERT INTO troubles VALUES (?, ?, ?) ON CONFLICT (place) DO UPDATE"
                " SET text = excluded.text",
                (place, text, time.time()),
            )

    def clear_trouble(self, place: str) -> bool:
        """Remove a trouble. Returns whether there was one."""
        with _unless_disk_is_full(), self._change() as base:
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
    def _change(self) -> Iterator[sqlite3.Connection]:
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
        base.executemany(
            "INSERT OR IGNORE INTO deliveries (number, destination) VALUES (?, ?)",
            [(number, destination) for destination in destinations],
        )

    @staticmethod
    def _set_state(
        base: sqlite3.Connection, number: int, state: State, reason: str | None = None
    ) -> None:
        base.execute(
            "UPDATE films SET state = ?, reason = ?, changed = ? WHERE number = ?",
            (state.value, reason, time.time(), number),
        )

    @staticmethod
    def _count(base: sqlite3.Connection, event: str) -> None:
        base.execute(
            "INSERT INTO counts VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET number = number + 1",
            (event,),
        )


def _unless_disk_is_full() -> suppress:
    """Skip the change on a full disk; the log has the event."""
    return suppress(sqlite3.OperationalError)
