"""The queue of a node: the state of a film after each step, and after the process ended."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.apps.pacs.node.delivery import pause_s
from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.queue.entries import (
    MAX_ATTEMPTS,
    Accepted,
    Added,
    Entry,
    PendingDelivery,
)
from pleura.apps.pacs.node.queue.listing import film_by_number
from pleura.apps.pacs.node.queue.operate import drop
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.queue.schema import UPDATES
from pleura.apps.pacs.node.worker import Worker
from pleura.apps.pacs.results import FilmResults
from pleura.core.errors import UsageError, WeightsError
from pleura.core.types import Quality


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    folder = NodeFolder(tmp_path / "node")
    folder.make()
    return folder


def report(film: Path, reason: str, **_: Any) -> dict[str, bytes]:
    return {"1-failed.dcm": f"{film.name}: {reason}".encode()}


def worker(folder: NodeFolder, queue: Queue, make: Any, *, keep_free: int = 0) -> Worker:
    return Worker(
        queue=queue,
        folder=folder,
        maker=SimpleNamespace(files=make, failure=report, made_with="dicom-seg"),
        destinations=["A", "B"],
        wake=threading.Event(),
        space=DiskSpace(folder.root, keep_free=keep_free),
        on_results=lambda: None,
        stopping=threading.Event(),
    )


def test_a_film_that_hangs_fails_at_the_next_start(folder: NodeFolder) -> None:
    """Its report is made, unless the film hangs in the making of the report too."""
    queue = Queue(folder.queue)
    number = take(folder, queue)
    queue.begin_attempt(number)
    for has_report in (True, False):
        queue.give_up(number, "it took longer than 5 s")
        one = worker(folder, queue, make=None)
        one._segment(queue.next_film())
        assert queue.next_film() is None
        assert (queue.next_delivery("A") is not None) == has_report
        with queue.change() as base:
            assert film_by_number(base, number).reason == "it took longer than 5 s"
            base.execute("DELETE FROM deliveries")
            base.execute("UPDATE films SET state = 'waiting'")


def take(folder: NodeFolder, queue: Queue, uid: str = "1.2") -> int:
    folder.write_film(f"{uid}.dcm", b"pixels")
    added = queue.add(uid, f"{uid}.dcm", sender="CR1", size=6)
    assert added.accepted is Accepted.new
    return added.number


def due(queue: Queue, destination: str) -> PendingDelivery:
    delivery = queue.next_delivery(destination)
    assert delivery is not None
    return delivery


def test_a_film_goes_through_every_state(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    assert queue.add("1.2", "other", sender="CR1", size=6) == Added(Accepted.duplicate, number)
    queue.mark_segmented(number, ["A", "B"], verdict="ok")
    assert queue.next_film() is None
    assert queue.mark_delivered(due(queue, "A"), "A") == (False, None)
    assert queue.next_delivery("A") is None
    assert queue.mark_delivered(due(queue, "B"), "B") == (True, "1.2.dcm")
    assert queue.kept_files() == (set(), set())
    assert queue.add("1.2", "other", sender="CR1", size=6) == Added(Accepted.duplicate, number)
    queue.close()


def test_refused_results_do_not_block_others(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    first, second = take(folder, queue, "1.1"), take(folder, queue, "1.2")
    queue.mark_segmented(first, ["A"], verdict="ok")
    queue.mark_segmented(second, ["A"], verdict="ok")
    assert due(queue, "A").number == first
    queue.mark_rejected(due(queue, "A"), "A", "status 0xa900", wait_s=3600)
    assert due(queue, "A").number == second
    queue.close()


def test_a_film_that_ends_the_process_too_often_fails(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    for _ in range(MAX_ATTEMPTS):  # the process ended each time
        film = queue.next_film()
        assert film is not None
        queue.begin_attempt(film.number)
    film = queue.next_film()
    assert film is not None
    worker(folder, queue, lambda *_, **__: pytest.fail("tried again"))._segment(film)
    assert queue.next_film() is None
    assert queue.add("1.2", "again.dcm", sender="CR1", size=6) == Added(
        Accepted.again, number, "1.2.dcm"
    )
    queue.close()


def test_a_full_disk_does_not_count_as_an_attempt(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    take(folder, queue)
    film = queue.next_film()
    assert film is not None

    def make(_: Path, **__: Any) -> FilmResults:
        return FilmResults({"1-dicom-seg.dcm": b"result"}, Quality("ok", None))

    with pytest.raises(UsageError, match="too little free space"):
        worker(folder, queue, make, keep_free=10**18)._segment(film)
    again = queue.next_film()
    assert again is not None
    assert again.attempts == 0
    worker(folder, queue, make)._segment(again)
    assert [file.read_bytes() for file in folder.results_of(film.number)] == [b"result"]
    queue.close()


def test_invalid_numbers_of_the_network_stop_the_node_and_fail_no_film(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    take(folder, queue)

    def make(_: Path, **__: Any) -> FilmResults:
        raise WeightsError("nan")

    with pytest.raises(WeightsError):
        worker(folder, queue, make).run()
    film = queue.next_film()
    assert film is not None
    assert film.attempts == 0
    queue.close()


def test_files_of_a_killed_node_are_removed(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    done, half = take(folder, queue, "1.1"), take(folder, queue, "1.2")
    folder.write_results(done, {"1.dcm": b""})
    queue.mark_segmented(done, ["A"], verdict="ok")
    folder.write_results(half, {"1.dcm": b""})  # killed before the queue was changed
    (folder.results / "7.part").mkdir()
    folder.write_film("orphan.dcm", b"never acknowledged")
    (folder.films / ".pleura-1-00.part").write_bytes(b"half a film")
    assert folder.remove_unfinished(*queue.kept_files()) == 4
    assert {path.name for path in folder.films.iterdir()} == {"1.1.dcm", "1.2.dcm"}
    assert {path.name for path in folder.results.iterdir()} == {str(done)}
    queue.close()


def test_a_file_that_is_no_queue_is_refused(folder: NodeFolder) -> None:
    folder.queue.write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match="cannot be used"):
        Queue(folder.queue)


def test_every_change_is_on_the_disk_before_the_call_returns(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    settings = {
        name: queue._base.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL
    queue.close()
    with sqlite3.connect(folder.queue) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()


@given(st.integers(0, 10**6), st.floats(0.1, 10**5))
def test_pauses_double_up_to_the_longest(failures: int, longest_s: float) -> None:
    pause, later = pause_s(failures, longest_s), pause_s(failures + 1, longest_s)
    assert 0 < pause <= later <= longest_s
    assert later == min(2 * pause, longest_s) or pause == longest_s


def test_an_update_keeps_what_waits(folder: NodeFolder) -> None:
    """A queue of the first version, whose films wait for the network and for a destination."""
    old = sqlite3.connect(folder.queue)
    old.executescript(UPDATES[0])
    film = "INSERT INTO films VALUES (?, ?, ?, ?, 'CR1', 6, 1.0, 1.0, 0, NULL)"
    old.execute(film, (7, "hash of 7", "waiting", "7.dcm"))
    old.execute(film, (5, "hash of 5", "segmented", "5.dcm"))
    old.execute("INSERT INTO deliveries VALUES (5, 'A', 3, 9e9, 'status 0xa700')")
    old.execute("INSERT INTO troubles VALUES ('A', 'no connection', 1.0, 9e9)")
    old.execute("INSERT INTO counts VALUES ('duplicates', 4)")
    old.commit()
    old.close()
    for _ in range(2):  # the second time there is nothing to update
        queue = Queue(folder.queue)
        assert queue.next_film() == Entry(7, "7.dcm", 0)
        assert queue.next_delivery("A") == PendingDelivery(5, 3, frozenset(), 0)
        assert queue.kept_files() == ({"5.dcm", "7.dcm"}, {5})
        queue.close()
    base = sqlite3.connect(folder.queue)
    assert base.execute("PRAGMA user_version").fetchone() == (len(UPDATES),)
    assert base.execute("SELECT what, number FROM counts").fetchall() == [("duplicates", 4)]
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(UsageError, match="version 99, and this Pleura knows versions up to"):
        Queue(folder.queue)


def test_a_clock_that_is_set_back_delays_nothing(
    folder: NodeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    queue.mark_segmented(number, ["A"], verdict="ok")
    queue.mark_rejected(due(queue, "A"), "A", "status 0xa700", wait_s=60.0)
    assert queue.next_delivery("A") is None
    elapsed = time.monotonic() + 61.0
    monkeypatch.setattr(time, "monotonic", lambda: elapsed)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert queue.next_delivery("A") == PendingDelivery(number, 1, frozenset(), 1)
    queue.close()


def test_other_options_make_the_results_that_wait_again(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number, done = take(folder, queue, "1.1"), take(folder, queue, "1.2")
    for film in (number, done):
        queue.mark_segmented(film, ["A", "B"], verdict="ok", made_with="seg sr")
    for destination in ("A", "A", "B"):  # all but the first film's results for B
        queue.mark_delivered(due(queue, destination), destination)
    queue.close()
    queue = Queue(folder.queue)
    assert queue.segment_again(unless_made_with="seg sr") == 0
    left = due(queue, "B")
    assert left.number == done
    queue.mark_stored(left, "B", ["4-dicom-sr.dcm"])
    assert queue.segment_again(unless_made_with="sr") == 1
    assert queue.next_delivery("B") is None  # until the new results are on the disk
    assert queue.next_film() == Entry(done, "1.2.dcm", 0)
    queue.mark_segmented(done, ["A", "B"], verdict="ok", made_with="sr")
    assert queue.next_delivery("A") is None  # it has all earlier results, and gets no others
    again = due(queue, "B")
    assert again.stored == {"4-dicom-sr.dcm"}
    assert queue.mark_delivered(left, "B") == (False, None)  # it was begun with the earlier results
    assert queue.mark_delivered(again, "B") == (True, "1.2.dcm")
    queue.close()


def test_a_film_that_is_dropped_meanwhile_has_no_results(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    film = queue.next_film()
    assert film is not None

    def make(_: Path, **__: Any) -> FilmResults:
        drop(queue, folder, [number])
        return FilmResults({"1-dicom-seg.dcm": b"result"}, Quality("ok", None))

    worker(folder, queue, make)._segment(film)
    assert queue.next_delivery("A") is None
    assert queue.kept_files() == (set(), set())
    assert list(folder.results.iterdir()) == list(folder.films.iterdir()) == []
    queue.close()


def test_a_film_without_its_file_fails_and_blocks_no_other(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    folder.delete_film("1.2.dcm")
    film = queue.next_film()
    assert film is not None
    worker(folder, queue, lambda *_, **__: pytest.fail("no file"))._segment(film)
    assert queue.next_film() is None
    with queue.change() as base:
        assert "no longer in the folder" in str(film_by_number(base, number).reason)
    queue.close()
