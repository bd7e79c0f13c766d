"""The states of a film in a node's queue, and the rows that the queue gives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["MAX_ATTEMPTS", "Accepted", "Added", "Entry", "PendingDelivery", "State", "hash_uid"]

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
