"""The tables of a node's queue, and the updates of queues that earlier versions made.

`PRAGMA user_version` of the file counts the updates it has had. Each update is one transaction.
"""

from __future__ import annotations

import sqlite3

from pleura.core.errors import UsageError

__all__ = ["UPDATES", "update_tables"]

_FIRST = """
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

_SECOND = """
ALTER TABLE deliveries ADD COLUMN stored TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries DROP COLUMN next_try;
ALTER TABLE troubles DROP COLUMN next_try;
"""
"""`stored` lists the result files that the destination has, with blanks between them. The times of
the next tries are no longer in the file: the clock of the computer may be set back."""

_THIRD = """
ALTER TABLE films ADD COLUMN result_sets INTEGER NOT NULL DEFAULT 0;
ALTER TABLE films ADD COLUMN made_with TEXT;
ALTER TABLE deliveries ADD COLUMN result_set INTEGER NOT NULL DEFAULT 0;
"""
"""`result_sets` counts how often results of a film were made; a delivery belongs to one
`result_set`, so that a delivery of earlier results does not change a film that was queued again in
the meantime. `made_with` names the options of the results; it is NULL for results of earlier
versions."""

_FOURTH = "ALTER TABLE deliveries ADD COLUMN commitment TEXT;"
"""The TransactionUID of the storage commitment that was asked for, or that it was given."""

_FIFTH = """
CREATE TABLE reports (
    number INTEGER NOT NULL REFERENCES films (number),
    uid TEXT NOT NULL,
    series TEXT NOT NULL,
    PRIMARY KEY (number, uid)
) STRICT;
"""
"""The reports on a film that a destination confirmed. Pleura makes both UIDs; they are hashes."""

_SIXTH = "ALTER TABLE films ADD COLUMN pixels TEXT NOT NULL DEFAULT '';"
"""The transfer syntax and the SHA-256 of the pixels; empty for films of earlier versions."""

UPDATES = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)
"""Queues of the first version have the tables of `_FIRST` and the user_version 0."""


def update_tables(base: sqlite3.Connection) -> None:
    """Make the tables that are missing, and update older ones; nothing in them is lost.

    Raises:
        UsageError: a newer version of Pleura made the queue.
        sqlite3.Error: the file is not a queue, or cannot be written.
    """
    version = int(base.execute("PRAGMA user_version").fetchone()[0])
    if version > len(UPDATES):
        raise UsageError(
            f"the queue is of version {version}, and this Pleura knows versions up to "
            f"{len(UPDATES)}; install the newer Pleura again"
        )
    for number, script in enumerate(UPDATES[version:], version + 1):
        base.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")
