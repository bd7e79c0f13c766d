"""The queue of a node in SQLite. It survives kill -9 and a loss of power at any time.

Every change is one transaction, and is on the disk before the call returns (WAL, synchronous=FULL).
A hash of the SOPInstanceUID identifies a film: a film that is sent again is recognised, and the
file holds no identity.

A film is `waiting` for the network, `segmented` (its results are on the disk), `delivered`, or
`failed`.
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

from pleura.core.errors import UsageError

__all__ = ["VERDICT", "Accepted", "Entry", "Queue", "State", "hash_uid"]

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=200",  # pages of 4 KB: the log stays small on a small disk
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS films (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uid_sha256 TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    file TEXT,
    sender TEXT NOT NULL,
    size INTEGER NOT NULL,
    received REAL NOT NULL,
    changed REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS films_by_state ON films (state, number);
CREATE TABLE IF NOT EXISTS deliveries (
    number INTEGER NOT NULL REFERENCES films (number),
    destination TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    reason TEXT,
    PRIMARY KEY (number, destination)
) STRICT;
CREATE TABLE IF NOT EXISTS troubles (
    place TEXT PRIMARY KEY, text TEXT NOT NULL, since REAL NOT NULL, next_try REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS counts (what TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
"""


VERDICT = "verdict "
"""The prefix of verdicts among the counts; each segmented film adds one."""


class State(StrEnum):
    """The state of a film."""

    waiting = "waiting"
    segmented = "segmented"
    delivered = "delivered"
    failed = "failed"


class Accepted(StrEnum):
    """The outcome of `Queue.add`."""

    new = "new"
    again = "again"
    """The film had failed, and is tried again."""

    duplicate = "duplicate"


@dataclass(frozen=True, slots=True)
class Entry:
    """A film in the queue."""

    number: int
    file: str | None
    attempts: int
    """Earlier attempts to segment or to deliver it."""


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
            self._base.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise UsageError(
                f"the queue {path} cannot be used ({error}); free space on its disk, or move it "
                "away to begin with an empty one"
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def add(self, uid: str, file: str, *, sender: str, size: int) -> tuple[Accepted, int]:
        """Add a film whose pixels are in `file`; a known film only if it had failed.

        Returns the outcome and the film's number.
        """
        key, now = hash_uid(uid), time.time()
        with self._change() as base:
            existing = base.execute(
                "SELECT number, state FROM films WHERE uid_sha256 = ?", (key,)
            ).fetchone()
            if existing is None:
                added = base.execute(
                    "INSERT INTO films (uid_sha256, state, file, sender, size, received, changed)"
                    " VALUES (?, 'waiting', ?, ?, ?, ?, ?)",
                    (key, file, sender, size, now, now),
                )
                return Accepted.new, int(added.lastrowid or 0)
            number, state = existing
            if state != State.failed:
                self._count(base, "duplicates")
                return Accepted.duplicate, number
            base.execute(
                "UPDATE films SET state = 'waiting', file = ?, size = ?, changed = ?, attempts = 0,"
                " reason = NULL WHERE number = ?",
                (file, size, now, number),
            )
            return Accepted.again, number

    def next_film(self) -> Entry | None:
        """The oldest film that waits for the network, or None."""
        return self._entry(
            "SELECT number, file, attempts FROM films WHERE state = 'waiting'"
            " ORDER BY number LIMIT 1"
        )

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
            base.executemany(
                "INSERT OR IGNORE INTO deliveries (number, destination) VALUES (?, ?)",
                [(number, destination) for destination in destinations],
            )

    def mark_failed(self, number: int, reason: str) -> None:
        """The film cannot be segmented, and its file is not needed any more."""
        with self._change() as base:
            self._set_state(base, number, State.failed, reason)
            base.execute("UPDATE films SET file = NULL WHERE number = ?", (number,))

    def next_delivery(self, destination: str) -> Entry | None:
        """The oldest film whose results may be sent to `destination` now, or None."""
        return self._entry(
            "SELECT number, NULL, attempts FROM deliveries"
            " WHERE destination = ? AND next_try <= ? ORDER BY number LIMIT 1",
            (destination, time.time()),
        )

    def mark_delivered(self, number: int, destination: str) -> str | None:
        """A destination has the results. Returns the film's file after the last one, else None."""
        with self._change() as base:
            base.execute(
                "DELETE FROM deliveries WHERE number = ? AND destination = ?", (number, destination)
            )
            remaining = base.execute(
                "SELECT 1 FROM deliveries WHERE number = ?", (number,)
            ).fetchone()
            if remaining is not None:
                return None
            row = base.execute("SELECT file FROM films WHERE number = ?", (number,)).fetchone()
            self._set_state(base, number, State.delivered)
            base.execute("UPDATE films SET file = NULL WHERE number = ?", (number,))
            return str(row[0])

    def mark_refused(self, number: int, destination: str, reason: str, *, wait_s: float) -> None:
        """A destination refused the results; they are sent again after `wait_s` seconds."""
        with self._change() as base:
            base.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_try = ?, reason = ?"
                " WHERE number = ? AND destination = ?",
                (time.time() + wait_s, reason, number, destination),
            )

    def count(self, event: str) -> None:
        """Count an event that is not a state of a film."""
        with _unless_disk_is_full(), self._change() as base:
            self._count(base, event)

    def set_trouble(self, place: str, text: str, *, wait_s: float = 0.0) -> None:
        """Record a trouble of the disk or of a destination; the next try is in `wait_s` seconds."""
        now = time.time()
        with _unless_disk_is_full(), self._change() as base:
            base.execute(
                "INSERT INTO troubles VALUES (?, ?, ?, ?) ON CONFLICT (place) DO UPDATE"
                " SET text = excluded.text, next_try = excluded.next_try",
                (place, text, now, now + wait_s),
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
            segmented = self._base.execute("SELECT number FROM films WHERE state = 'segmented'")
            return {row[0] for row in files}, {row[0] for row in segmented.fetchall()}

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

    def _entry(self, query: str, values: tuple[Any, ...] = ()) -> Entry | None:
        with self._lock:
            row = self._base.execute(query, values).fetchone()
        return None if row is None else Entry(*row)

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
