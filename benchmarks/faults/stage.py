"""A node, an archive and films for one fault, and the count of what became of each film."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from benchmarks.faults.archive import Archive
from benchmarks.faults.site import FAULTY_NODE, Node, make_film, send, until
from benchmarks.faults.weights import dark_is_lung
from pleura.apps.pacs.node.queue.entries import hash_uid
from pleura.phantom.film import draw

ONE_SET = Counter({"SEG": 1, "SR": 1, "OT": 1})
"""The results of a film with the node's default formats, by modality."""

WAIT_S = 300.0
GREY_VALUES = 4095


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the films that the node acknowledged."""

    fault: str
    acknowledged: int
    one_set: int
    quarantined: int
    """Failed films whose pixels are kept."""

    lost: int
    twice: int
    counted: int
    """Failed films by the node's status."""

    note: str

    @property
    def holds(self) -> bool:
        """Each film has one set of results, or is kept and counted."""
        return not self.lost and not self.twice and self.quarantined == self.counted

    def row(self) -> str:
        numbers = (self.acknowledged, self.one_set, self.quarantined, self.lost, self.twice)
        held = "" if self.holds else "**no** "
        return f"| {self.fault} | {' | '.join(map(str, numbers))} | {held}{self.note} |"


HEAD = """\
| fault | acknowledged | one set of results | in quarantine | lost | twice | |
|---|---|---|---|---|---|---|"""


@dataclass(slots=True)
class Stage:
    """A node that delivers to an archive; both listen."""

    node: Node
    archive: Archive
    acknowledged: set[str] = field(default_factory=set)
    """The UIDs of the films that the node acknowledged."""

    retries: int = 0

    def send_all(self, films: Iterable[Dataset], *, title: str = "SENDER") -> None:
        """Send each film until it is acknowledged."""
        end = time.monotonic() + WAIT_S
        for film in films:
            while not self.send(film, title=title):
                if time.monotonic() > end:
                    raise AssertionError("a film was never acknowledged")
                self.retries += 1
                time.sleep(0.1)

    def send(self, film: Dataset, *, title: str = "SENDER") -> bool:
        """Send a film once. Returns whether it was acknowledged."""
        with suppress(AssertionError, RuntimeError, ValueError):  # no association, or it was cut
            if send(self.node.port, film, title=title) == [0]:
                self.acknowledged.add(str(film.SOPInstanceUID))
                return True
        return False

    def finish(self) -> None:
        """Wait until no film waits for the network or for a destination."""
        until(
            lambda: self.node.has(waiting=0, segmented=0) and not self.node.status().waiting,
            "every film ends",
            wait_s=WAIT_S,
        )

    def outcome(self, fault: str, note: str = "", *, expected: Counter[str] = ONE_SET) -> Outcome:
        """Count the acknowledged films."""
        results = self.archive.results_by_film()
        ends = Counter(
            self._end(uid, results.get(uid, Counter()), expected) for uid in self.acknowledged
        )
        return Outcome(
            fault=fault,
            acknowledged=len(self.acknowledged),
            one_set=ends["one_set"],
            quarantined=ends["quarantined"],
            lost=ends["lost"],
            twice=ends["twice"],
            counted=self.node.status().films["failed"],
            note=note,
        )

    def _end(self, uid: str, results: Counter[str], expected: Counter[str]) -> str:
        state, file = self.row(uid, "state, file") or ("", None)
        if state == "failed" and (self.node.folder / "films" / str(file)).is_file():
            return "quarantined"
        if results == expected:
            return "one_set"
        return "twice" if any(n > expected[kind] for kind, n in results.items()) else "lost"

    def row(self, uid: str, columns: str) -> Any:
        """Columns of a film in the queue; None if it is not there."""
        base = sqlite3.connect(f"file:{self.node.folder / 'queue.sqlite'}?mode=ro", uri=True)
        try:
            query = f"SELECT {columns} FROM films WHERE uid_sha256 = ?"
            return base.execute(query, (hash_uid(uid),)).fetchone()
        except sqlite3.OperationalError:  # it is being made
            return None
        finally:
            base.close()


@contextmanager
def stage(
    work: Path, *options: str, web: bool = False, faulty: Iterable[str] = (), folder: str = "node"
) -> Iterator[Stage]:
    """A stage in the new folder `work`; with `web`, results go by STOW-RS.

    `options` are those of the node, and `faulty` those of `faulty_node.py`, if any.
    """
    work.mkdir(parents=True)
    weights = work / "tiny.onnx"
    weights.write_bytes(dark_is_lung())
    archive = Archive()
    archive.start()
    to = f"http://127.0.0.1:{archive.web_port}/rs" if web else f"PACS@127.0.0.1:{archive.port}"
    program = (str(FAULTY_NODE), *faulty, "--") if faulty else ("-m", "pleura")
    node = Node(
        work / folder,
        ["--from", "SENDER", "--to", to, "--weights", str(weights), *options],
        log=work / "node.log",
        program=program,
    )
    try:
        node.start()
        yield Stage(node, archive)
    finally:
        if node.process is not None and node.process.poll() is None:
            node.kill()
        archive.stop()


def drawn_films(count: int, *, side: int = 160) -> list[Dataset]:
    """Films of three drawn persons, with UIDs of their own."""
    drawn = [draw(side, side, seed=seed).radiograph.pixels * GREY_VALUES for seed in range(3)]
    return [make_film(drawn[number % 3], number) for number in range(count)]


def in_thread(work: Any, *arguments: Any) -> threading.Thread:
    """A started thread that runs `work`."""
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread
