"""The status of a node for `pleura node status`: its films, deliveries and troubles."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import State
from pleura.apps.pacs.node.queue.queue import VERDICT
from pleura.core.arrays import Verdict
from pleura.core.errors import UsageError

__all__ = ["NodeStatus", "problems", "read_status", "status_dict", "status_lines"]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The status of a node; ages in seconds."""

    running: bool
    films: dict[str, int]
    """The number of films in each state."""

    counts: dict[str, int]
    """The number of duplicates, objects that are no films, unreadable objects, and so on."""

    verdicts: dict[str, int]
    """The number of segmented films with each verdict."""

    oldest_s: float | None
    """The age of the oldest film whose results are not all delivered."""

    waiting: dict[str, int]
    """The number of films to deliver, by destination."""

    refusals: dict[str, int]
    """The number of films whose results a destination refused, by destination."""

    refused: list[dict[str, Any]]
    """Films whose results a destination rejected: number, destination, attempts, reason."""

    failed: list[dict[str, Any]]
    """The latest films that could not be segmented: number, reason."""

    troubles: list[dict[str, Any]]
    """Troubles of the disk and of destinations: place, text, age."""

    free_bytes: int
    """The free space of the folder's disk."""


LATEST = 20
"""The entries of a list; the counts are complete."""


def read_status(folder: NodeFolder) -> NodeStatus:
    """Read the status of the node in `folder`; it may run or not.

    Raises:
        UsageError: no node has run there, or its queue cannot be read.
    """
    if not folder.queue.exists():
        raise UsageError(
            f"no node has run in {folder.root}; give the --folder that `pleura node` was given"
        )
    try:
        base = sqlite3.connect(f"file:{folder.queue}?mode=ro", uri=True, timeout=5.0)
        base.row_factory = sqlite3.Row
        try:
            return _read(base, folder)
        finally:
            base.close()
    except sqlite3.Error as error:
        raise UsageError(f"the queue {folder.queue} cannot be read ({error})") from error


def status_lines(status: NodeStatus) -> Iterator[str]:
    """The status as lines of text."""
    yield f"node      {'running' if status.running else 'not running'}"
    yield f"films     {_listed(status.films)}"
    yield f"verdicts  {_listed(status.verdicts)}"
    yield f"events    {_listed(status.counts)}"
    if status.oldest_s is not None:
        yield f"oldest    has waited {status.oldest_s:.0f} s"
    for destination, number in status.waiting.items():
        yield f"to        {destination}: {number} films to deliver"
    for delivery in status.refused:
        yield (
            f"refused   film {delivery['number']} by {delivery['destination']}, "
            f"{delivery['attempts']} times: {delivery['reason']}"
        )
    for film in status.failed:
        yield f"failed    film {film['number']}: {film['reason']}"
    for trouble in status.troubles:
        yield f"trouble   {trouble['place']}, for {trouble['since_s']:.0f} s: {trouble['text']}"
    yield f"disk      {status.free_bytes / 1e9:.1f} GB free"


def problems(status: NodeStatus) -> list[str]:
    """The problems of the node: it does not run, has a trouble, or its results are refused."""
    down = [] if status.running else ["the node does not run"]
    troubles = [f"{entry['place']}: {entry['text']}" for entry in status.troubles]
    refusals = [f"{name} refuses results of {n} films" for name, n in status.refusals.items()]
    return [*down, *troubles, *refusals]


def status_dict(status: NodeStatus) -> dict[str, Any]:
    """The status for JSON."""
    return asdict(status)


def _read(base: sqlite3.Connection, folder: NodeFolder) -> NodeStatus:
    now = time.time()
    states = dict.fromkeys(map(str, State), 0)
    states |= dict(map(tuple, base.execute("SELECT state, COUNT(*) FROM films GROUP BY state")))
    counts = dict(map(tuple, base.execute("SELECT what, number FROM counts ORDER BY what")))
    oldest = base.execute(
        "SELECT MIN(received) FROM films WHERE state IN ('waiting', 'segmented')"
    ).fetchone()[0]
    return NodeStatus(
        running=folder.is_held(),
        films=states,
        counts={event: n for event, n in counts.items() if not event.startswith(VERDICT)},
        verdicts={name: counts.get(f"{VERDICT}{name}", 0) for name in get_args(Verdict)},
        oldest_s=None if oldest is None else max(0.0, now - oldest),
        waiting=dict(
            map(
                tuple,
                base.execute("SELECT destination, COUNT(*) FROM deliveries GROUP BY destination"),
            )
        ),
        refusals=dict(
            map(
                tuple,
                base.execute(
                    "SELECT destination, COUNT(*) FROM deliveries WHERE attempts > 0"
                    " GROUP BY destination"
                ),
            )
        ),
        refused=_rows(
            base,
            "SELECT number, destination, attempts, reason FROM deliveries WHERE attempts > 0"
            " ORDER BY number LIMIT ?",
        ),
        failed=_rows(
            base,
            "SELECT number, reason FROM films WHERE state = 'failed' ORDER BY changed DESC LIMIT ?",
        ),
        troubles=[
            {"place": row["place"], "text": row["text"], "since_s": now - row["since"]}
            for row in base.execute("SELECT place, text, since FROM troubles ORDER BY place")
        ],
        free_bytes=shutil.disk_usage(folder.root).free,
    )


def _rows(base: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in base.execute(query, (LATEST,))]


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items()) or "nothing else"
