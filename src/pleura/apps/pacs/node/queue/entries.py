"""The states of a film in a node's queue, and the rows that the queue gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "COMMITTED",
    "MAX_ATTEMPTS",
    "Accepted",
    "Added",
    "Entry",
    "PendingDelivery",
    "State",
    "hash_uid",
    "pixels_differ",
]

COMMITTED = "committed"
"""In place of a transaction: the destination has given storage commitment."""

MAX_ATTEMPTS = 5
"""A film during which the process ended so often fails; it would end the process again."""


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
    changed = "changed"
    """Its pixels differ from those of the film that has this UID: it is another film."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A film in the queue."""

    number: int
    file: str | None
    attempts: int
    """Earlier attempts to segment it."""

    reason: str | None = None
    """Why it was given up, if it was."""


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """Results of a film that a destination does not have yet."""

    number: int
    attempts: int
    """Earlier attempts to deliver them."""

    stored: frozenset[str]
    """The result files that the destination already has."""

    result_set: int
    """Which of the film's sets of results this is; a film that is tried again gets a new one."""

    committed: bool = False
    """Whether the destination has given storage commitment."""

    @classmethod
    def of_row(cls, row: tuple[Any, ...]) -> PendingDelivery:
        """Of the columns number, attempts, stored, result_set and commitment of a delivery."""
        number, attempts, stored, result_set, commitment = row
        committed = commitment == COMMITTED
        return cls(number, attempts, frozenset(stored.split()), result_set, committed)


@dataclass(frozen=True, slots=True)
class Added:
    """The outcome of `Queue.add`."""

    accepted: Accepted
    number: int
    replaced: str | None = None
    """The film's earlier file, which is no longer needed."""


def hash_uid(uid: str) -> str:
    """The SHA-256 of a UID, which the queue holds instead of the UID."""
    return hashlib.sha256(uid.encode()).hexdigest()


def pixels_differ(earlier: str, later: str) -> bool:
    """Whether two films with one UID have other pixels, of their transfer syntaxes and hashes.

    False if either is empty, or if the transfer syntaxes differ: then only decoding would show it.
    """
    syntax, _, _ = earlier.partition(" ")
    return earlier != later and bool(syntax) and syntax == later.partition(" ")[0]
