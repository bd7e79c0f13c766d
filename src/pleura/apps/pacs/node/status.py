"""`pleura node status`: what a node has done and has yet to do, without disturbing it."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue import VERDICT, State
from pleura.core.arrays import Verdict
from pleura.core.errors import UsageError

__all__ = ["NodeStatus", "read_status", "tell", "told"]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What is known of a node; ages in seconds."""

    running: bool
    films: dict[str, int]
    """By state."""

    counts: dict[str, int]
    """Duplicates, objects that are no films, unreadable ones, refused associations."""

    verdicts: dict[str, int]
    """Films segmented, by Pleura's verdict on the result."""

    oldest_s: float | None
    """Since the oldest film came whose results are not all delivered."""

    waiting: dict[str, int]
    """By destination: films whose results it has not yet."""

    refused: list[dict[str, Any]]
    """Films whose results a destination did not take: number, destination, attempts, reason."""

    failed: list[dict[str, Any]]
    """The latest films that could not be segmented: number, reason."""

    troubles: list[dict[str, Any]]
    """What is wrong outside: place, text, since when."""

    free_bytes: int
    """On the folder's disk."""


LATEST = 20
"""Entries of a list; the counts are of all."""


def read_status(folder: NodeFolder) -> NodeStatus:
    """The state of the node in `folder`, running or not.

    Raises:
        UsageError: no node ever ran there, or its queue cannot be read.
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


def tell(status: NodeStatus) -> Iterator[str]:
    """The same in lines, for people."""
    yield f"node      {'running' if status.running else 'not running'}"
    yield f"films     {_listed(status.films)}"
    yield f"verdicts  {_listed(status.verdicts)}"
    yield f"met       {_listed(status.counts)}"
    if status.oldest_s is not None:
        yield f"oldest    waits since {status.oldest_s:.0f} s"
    for destination, number in status.waiting.items():
        yield f"to        {destination}: {number} films to deliver"
    for each in status.refused:
        yield (
            f"refused   film {each['number']} by {each['destination']}, "
            f"{each['attempts']} times: {each['reason']}"
        )
    for each in status.failed:
        yield f"failed    film {each['number']}: {each['reason']}"
    for each in status.troubles:
        yield f"trouble   {each['place']}, since {each['since_s']:.0f} s: {each['text']}"
    yield f"disk      {status.free_bytes / 1e9:.1f} GB free"


def told(status: NodeStatus) -> dict[str, Any]:
    """The same for machines."""
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
        counts={what: n for what, n in counts.items() if not what.startswith(VERDICT)},
        verdicts={each: counts.get(f"{VERDICT}{each}", 0) for each in get_args(Verdict)},
        oldest_s=None if oldest is None else max(0.0, now - oldest),
        waiting=dict(
            map(
                tuple,
                base.execute("SELECT destination, COUNT(*) FROM deliveries GROUP BY destination"),
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
            {"place": each["place"], "text": each["text"], "since_s": now - each["since"]}
            for each in base.execute("SELECT place, text, since FROM troubles ORDER BY place")
        ],
        free_bytes=shutil.disk_usage(folder.root).free,
    )


def _rows(base: sqlite3.Connection, query: str) -> list[dict[str, Any]]:
    return [dict(each) for each in base.execute(query, (LATEST,))]


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in numbers.items()) or "nothing else"
