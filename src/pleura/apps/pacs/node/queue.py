"""What is known of each film, in SQLite: it survives kill -9 and a loss of power at any instant.

Every change is one transaction, on the disk before the call returns (WAL, synchronous=FULL). Films
are known by a hash of their SOPInstanceUID: a film that comes again is recognised, and nothing in
the file names anybody.

A film waits for the network, is segmented (results on the disk), is delivered; or has failed.
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
"""Before a verdict, among the counts: of films segmented, one each time."""


class State(StrEnum):
    """Where a film stands."""

    waiting = "waiting"
    segmented = "segmented"
    delivered = "delivered"
    failed = "failed"


class Accepted(StrEnum):
    """What became of a film that was offered."""

    new = "new"
    again = "again"
    """It had failed, and is tried again."""

    duplicate = "duplicate"


@dataclass(frozen=True, slots=True)
class Entry:
    """A film in the queue."""

    number: int
    file: str | None
    attempts: int
    """To segment it, or to deliver it; this one not counted."""


def hash_uid(uid: str) -> str:
    """What the queue holds instead of a UID."""
    return hashlib.sha256(uid.encode()).hexdigest()


class Queue:
    """The queue of one node; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open, or make, the queue.

        Raises:
            UsageError: the file is no queue, or the disk does not take it.
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
        """Give the file back."""
        with self._lock:
            self._base.close()

    def add(self, uid: str, file: str, *, sender: str, size: int) -> tuple[Accepted, int]:
        """Take a film whose pixels are in `file`; a known one only if it had failed.

        Returns what became of it, and its number.
        """
        key, now = hash_uid(uid), time.time()
        with self._change() as base:
            known = base.execute(
                "SELECT number, state FROM films WHERE uid_sha256 = ?", (key,)
            ).fetchone()
            if known is None:
                added = base.execute(
                    "INSERT INTO films (uid_sha256, state, file, sender, size, received, changed)"
                    " VALUES (?, 'waiting', ?, ?, ?, ?, ?)",
                    (key, file, sender, size, now, now),
                )
                return Accepted.new, int(added.lastrowid or 0)
            number, state = known
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
        """The oldest film that waits for the network."""
        return self._entry(
            "SELECT number, file, attempts FROM films WHERE state = 'waiting'"
            " ORDER BY number LIMIT 1"
        )

    def begin(self, number: int) -> None:
        """Note that the film is about to be segmented: should that end the process, it counts."""
        with self._change() as base:
            base.execute("UPDATE films SET attempts = attempts + 1 WHERE number = ?", (number,))

    def put_back(self, number: int) -> None:
        """The attempt was not the film's fault: it does not count."""
        with self._change() as base:
            base.execute("UPDATE films SET attempts = attempts - 1 WHERE number = ?", (number,))

    def segmented(self, number: int, destinations: Iterable[str], *, verdict: str) -> None:
        """The results are on the disk; they are to go to these destinations."""
        with self._change() as base:
            self._move(base, number, State.segmented)
            self._count(base, f"{VERDICT}{verdict}")
            base.executemany(
                "INSERT OR IGNORE INTO deliveries (number, destination) VALUES (?, ?)",
                [(number, each) for each in destinations],
            )

    def failed(self, number: int, reason: str) -> None:
        """The film cannot be segmented; its pixels are no longer needed."""
        with self._change() as base:
            self._move(base, number, State.failed, reason)
            base.execute("UPDATE films SET file = NULL WHERE number = ?", (number,))

    def due(self, destination: str) -> Entry | None:
        """The oldest film whose results may be sent there now."""
        return self._entry(
            "SELECT number, NULL, attempts FROM deliveries"
            " WHERE destination = ? AND next_try <= ? ORDER BY number LIMIT 1",
            (destination, time.time()),
        )

    def delivered(self, number: int, destination: str) -> str | None:
        """A destination has the results. The file of the film's pixels if it was the last one."""
        with self._change() as base:
            base.execute(
                "DELETE FROM deliveries WHERE number = ? AND destination = ?", (number, destination)
            )
            left = base.execute("SELECT 1 FROM deliveries WHERE number = ?", (number,)).fetchone()
            if left is not None:
                return None
            row = base.execute("SELECT file FROM films WHERE number = ?", (number,)).fetchone()
            self._move(base, number, State.delivered)
            base.execute("UPDATE films SET file = NULL WHERE number = ?", (number,))
            return str(row[0])

    def refused(self, number: int, destination: str, reason: str, *, wait_s: float) -> None:
        """A destination did not take the results; they are sent again after `wait_s` seconds."""
        with self._change() as base:
            base.execute(
                "UPDATE deliveries SET attempts = attempts + 1, next_try = ?, reason = ?"
                " WHERE number = ? AND destination = ?",
                (time.time() + wait_s, reason, number, destination),
            )

    def count(self, what: str) -> None:
        """Count something that leaves no other trace."""
        with _if_room(), self._change() as base:
            self._count(base, what)

    def trouble(self, place: str, text: str, *, wait_s: float = 0.0) -> None:
        """Something outside is wrong, `wait_s` seconds before the next try."""
        now = time.time()
        with _if_room(), self._change() as base:
            base.execute(
                "INSERT INTO troubles VALUES (?, ?, ?, ?) ON CONFLICT (place) DO UPDATE"
                " SET text = excluded.text, next_try = excluded.next_try",
                (place, text, now, now + wait_s),
            )

    def no_trouble(self, place: str) -> bool:
        """It is well again; whether it was not before."""
        with _if_room(), self._change() as base:
            return base.execute("DELETE FROM troubles WHERE place = ?", (place,)).rowcount > 0
        return False

    def held(self) -> tuple[set[str], set[int]]:
        """The names of all files of pixels, and the numbers of the films that have results."""
        with self._lock:
            files = self._base.execute("SELECT file FROM films WHERE file IS NOT NULL").fetchall()
            done = self._base.execute("SELECT number FROM films WHERE state = 'segmented'")
            return {each[0] for each in files}, {each[0] for each in done.fetchall()}

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction; on the disk when the block has ended."""
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
    def _move(
        base: sqlite3.Connection, number: int, state: State, reason: str | None = None
    ) -> None:
        base.execute(
            "UPDATE films SET state = ?, reason = ?, changed = ? WHERE number = ?",
            (state.value, reason, time.time(), number),
        )

    @staticmethod
    def _count(base: sqlite3.Connection, what: str) -> None:
        base.execute(
            "INSERT INTO counts VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET number = number + 1",
            (what,),
        )


def _if_room() -> suppress:
    """A disk that is full takes no note of it either; the log has it."""
    return suppress(sqlite3.OperationalError)
