"""The actions of an operator on films of a queue: try again, send again, give up.

The node may be running; it sees a change within a second. A command changes all its films or
none.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import State
from pleura.apps.pacs.node.queue.listing import Film, film_by_number
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.queue.schema import UPDATES
from pleura.core.errors import UsageError

__all__ = ["drop", "open_queue", "redeliver", "retry"]

_Change = Callable[[sqlite3.Connection, Film], None]


@contextmanager
def open_queue(folder: NodeFolder) -> Iterator[Queue]:
    """The queue in `folder` inside the block.

    Raises:
        UsageError: no node has run there, its queue cannot be used, or a node of another version
            uses it now.
    """
    if not folder.queue.exists():
        raise UsageError(
            f"no node has run in {folder.root}; give the --folder that `pleura node` was given"
        )
    if folder.is_held() and _version(folder) != len(UPDATES):
        raise UsageError(
            "an older version of Pleura runs this node; stop it and start the new version, which "
            "updates the queue"
        )
    queue = Queue(folder.queue)
    try:
        yield queue
    except sqlite3.Error as error:
        raise UsageError(f"the queue {folder.queue} cannot be used ({error})") from error
    finally:
        queue.close()


def retry(queue: Queue, numbers: Sequence[int]) -> list[str]:
    """Try films again now: segment those that failed, send results that were refused.

    Returns a line for each film.

    Raises:
        UsageError: a film is not in the queue, or has nothing to try again; nothing is changed.
    """

    def again(base: sqlite3.Connection, film: Film) -> None:
        if film.state == State.failed:
            base.execute("DELETE FROM deliveries WHERE number = ?", (film.number,))
            base.execute(
                "UPDATE films SET state = 'waiting', attempts = 0, reason = NULL, changed = ?"
                " WHERE number = ?",
                (time.time(), film.number),
            )
        else:  # `Queue.next_delivery` no longer waits for results of no attempt
            base.execute(
                "UPDATE deliveries SET attempts = 0, commitment = NULL WHERE number = ?",
                (film.number,),
            )

    films = _change(queue, numbers, again, allowed=(State.failed, State.segmented))
    return [
        f"film {film.number}: "
        + ("waits for the network" if film.state == State.failed else f"is sent again{_to(film)}")
        for film in films
    ]


def redeliver(
    queue: Queue, numbers: Sequence[int], *, lacking: str | None = None, to: str | None = None
) -> list[str]:
    """Send all results of films again, also what was confirmed.

    They go to the destinations that lack results; with `lacking` to this one of them. With `to`
    they go there: instead of to `lacking`, or as well if that is None.
    Returns a line for each film.

    Raises:
        UsageError: a film is not in the queue, or has no results here; nothing is changed.
    """

    def again(base: sqlite3.Connection, film: Film) -> None:
        if not film.unsent:
            raise UsageError(
                f"film {film.number} is {film.state}, and no destination lacks results of it; "
                "nothing was changed"
            )
        base.execute(
            "UPDATE films SET result_sets = result_sets + 1 WHERE number = ?", (film.number,)
        )
        if to is not None:
            base.execute(
                "DELETE FROM deliveries WHERE number = ? AND destination IN (?, ?)",
                (film.number, lacking, to),
            )
            base.execute(
                "INSERT INTO deliveries (number, destination) VALUES (?, ?)", (film.number, to)
            )
        only = to or lacking
        base.execute(
            "UPDATE deliveries SET stored = '', attempts = 0, reason = NULL, commitment = NULL,"
            " result_set ="
            " (SELECT result_sets FROM films AS f WHERE f.number = deliveries.number)"
            " WHERE number = ? AND (destination = ? OR ?)",
            (film.number, only, only is None),
        )

    films = _change(queue, numbers, again, allowed=(State.segmented, State.failed))
    return [
        f"film {film.number}: all its results are sent"
        + (f" to {to or lacking}" if to or lacking else _to(film))
        for film in films
    ]


def drop(queue: Queue, folder: NodeFolder, numbers: Sequence[int]) -> list[str]:
    """Give films up: their pixels and results are deleted, and nothing is sent any more.

    A film that is sent to the node again is taken as a new one. Returns a line for each film.

    Raises:
        UsageError: a film is not in the queue, or was dropped before; nothing is changed.
    """
    files: dict[int, str | None] = {}

    def give_up(base: sqlite3.Connection, film: Film) -> None:
        row = base.execute("SELECT file FROM films WHERE number = ?", (film.number,)).fetchone()
        files[film.number] = row[0]
        base.execute("DELETE FROM deliveries WHERE number = ?", (film.number,))
        base.execute(
            "UPDATE films SET state = 'dropped', file = NULL, changed = ? WHERE number = ?",
            (time.time(), film.number),
        )

    allowed = [state for state in State if state is not State.dropped]
    films = _change(queue, numbers, give_up, allowed=allowed)
    for number, file in files.items():
        folder.delete_film(file)
        folder.delete_results(number)
    return [f"film {film.number}: dropped, was {film.state}" for film in films]


_ADVICE = {
    State.waiting: "it is segmented as soon as it is its turn",
    State.segmented: "its results wait for a destination",
    State.delivered: "its results are deleted here; to make them again, drop the film and send it "
    "to the node again",
    State.failed: "it has no results; `pleura node queue retry` tries it again",
    State.dropped: "its pixels are deleted; send it to the node again",
}


def _change(
    queue: Queue, numbers: Sequence[int], change: _Change, *, allowed: Sequence[State]
) -> list[Film]:
    """Change films in one transaction. Returns the films as they were."""
    with queue.change() as base:
        films = [film_by_number(base, number) for number in dict.fromkeys(numbers)]
        for film in films:
            if film.state not in allowed:
                raise UsageError(
                    f"film {film.number} is {film.state}: {_ADVICE[State(film.state)]}; nothing "
                    "was changed"
                )
            change(base, film)
        return films


def _to(film: Film) -> str:
    """The destinations that lack results of the film, for a sentence."""
    names = ", ".join(unsent.destination for unsent in film.unsent)
    return f" to {names}" if names else ""


def _version(folder: NodeFolder) -> int:
    base = sqlite3.connect(f"file:{folder.queue}?mode=ro", uri=True, timeout=5.0)
    try:
        return int(base.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise UsageError(f"the queue {folder.queue} cannot be read ({error})") from error
    finally:
        base.close()
