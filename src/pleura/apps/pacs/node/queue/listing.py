"""The films of a node's queue as an operator sees them, without patient data."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pleura.apps.pacs.node.queue.entries import State, hash_uid
from pleura.core.errors import UsageError

__all__ = ["Film", "UnsentResults", "film_by_number", "film_lines", "films_in", "number_of_uid"]


@dataclass(frozen=True, slots=True)
class UnsentResults:
    """Results of a film that a destination lacks."""

    destination: str
    attempts: int
    """Refusals so far."""

    reason: str | None
    """The reason of the last refusal."""

    stored: list[str]
    """The result files that the destination has already."""

    asked_to_keep: bool
    """Whether it has them all, and was asked for storage commitment."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film in the queue; ages in seconds, the size in bytes."""

    number: int
    state: str
    sender: str
    """The AE title of the sender."""

    size: int
    received_s: float
    changed_s: float
    """The time since its state changed."""

    attempts: int
    """Attempts to segment it."""

    reason: str | None
    """The reason of its failure."""

    uid_sha256: str
    """The SHA-256 of its SOPInstanceUID."""

    unsent: list[UnsentResults]

    def as_json(self) -> dict[str, Any]:
        """The film for JSON."""
        return asdict(self)

    def summary(self) -> str:
        """One line of the list."""
        return (
            f"{self.number:>7}  {self.state:<9}  {_age(self.received_s):>6}  "
            f"{self.size / 1e6:>6.1f} MB  {self.sender:<16}  {self._what_is_open()}"
        )

    def _what_is_open(self) -> str:
        failure = [self.reason] if self.reason else []
        return "; ".join([*failure, *(f"to {_open_at(unsent)}" for unsent in self.unsent)])


HEAD = f"{'film':>7}  {'state':<9}  {'age':>6}  {'size':>9}  {'sender':<16}  what is open"
_COLUMNS = "number, state, sender, size, received, changed, attempts, reason, uid_sha256"


def films_in(base: sqlite3.Connection, states: Sequence[State], *, limit: int) -> list[Film]:
    """The oldest `limit` films in these states."""
    places = ", ".join("?" * len(states))
    rows = base.execute(
        f"SELECT {_COLUMNS} FROM films WHERE state IN ({places}) ORDER BY number LIMIT ?",
        (*map(str, states), limit),
    ).fetchall()
    return [_film(base, row) for row in rows]


def film_by_number(base: sqlite3.Connection, number: int) -> Film:
    """The film of this number; `UsageError` if there is none."""
    row = base.execute(f"SELECT {_COLUMNS} FROM films WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise UsageError(
            f"no film {number} is in the queue; `pleura node queue list` shows the numbers"
        )
    return _film(base, row)


def number_of_uid(base: sqlite3.Connection, uid: str) -> int:
    """The number of the film with this SOPInstanceUID; `UsageError` if it never arrived."""
    row = base.execute("SELECT number FROM films WHERE uid_sha256 = ?", (hash_uid(uid),)).fetchone()
    if row is None:
        raise UsageError(
            "no film of this SOPInstanceUID was acknowledged here; the log of the node reports "
            "refused objects"
        )
    return int(row[0])


def film_lines(film: Film) -> Iterator[str]:
    """One film as lines of text."""
    yield f"film      {film.number}"
    yield f"state     {film.state}, for {_age(film.changed_s)}"
    yield f"received  {_age(film.received_s)} ago from {film.sender}, {film.size} bytes"
    yield f"attempts  {film.attempts}"
    if film.reason:
        yield f"failed    {film.reason}"
    for unsent in film.unsent:
        stored = ", ".join(unsent.stored) or "nothing"
        yield f"to        {_open_at(unsent)}; it has {stored}"
    yield f"uid       SHA-256 {film.uid_sha256}"


def _film(base: sqlite3.Connection, row: tuple[Any, ...]) -> Film:
    number, state, sender, size, received, changed, attempts, reason, uid_sha256 = row
    now = time.time()
    return Film(
        number=number,
        state=state,
        sender=sender,
        size=size,
        received_s=max(0.0, now - received),
        changed_s=max(0.0, now - changed),
        attempts=attempts,
        reason=reason,
        uid_sha256=uid_sha256,
        unsent=[
            UnsentResults(destination, tries, refusal, stored.split(), bool(asked))
            for destination, tries, refusal, stored, asked in base.execute(
                "SELECT destination, attempts, reason, stored, commitment IS NOT NULL"
                " FROM deliveries WHERE number = ? ORDER BY destination",
                (number,),
            )
        ],
    )


def _open_at(unsent: UnsentResults) -> str:
    if unsent.asked_to_keep:
        return f"{unsent.destination}, asked to keep its results"
    if not unsent.attempts:
        return unsent.destination
    return f"{unsent.destination}, refused {unsent.attempts} times: {unsent.reason}"


def _age(seconds: float) -> str:
    """A time in the largest unit that gives at least 2: 95 s, 40 min, 7 h, 12 d."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
