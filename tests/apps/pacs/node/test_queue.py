"""The queue by itself: what it says after each step, and after a process that ended."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pleura.apps.pacs.node.delivery import pause_s
from pleura.apps.pacs.node.folder import NodeFolder, Space
from pleura.apps.pacs.node.queue import Accepted, Queue
from pleura.apps.pacs.node.worker import MOST_ATTEMPTS, Worker
from pleura.apps.pacs.results import Made
from pleura.core.errors import UsageError, WeightsError
from pleura.core.types import Quality


@pytest.fixture
def folder(tmp_path: Path) -> NodeFolder:
    folder = NodeFolder(tmp_path / "node")
    folder.make()
    return folder


def worker(folder: NodeFolder, queue: Queue, make: object, *, keep_free: int = 0) -> Worker:
    return Worker(
        queue=queue,
        folder=folder,
        make=make,  # type: ignore[arg-type]
        destinations=["A", "B"],
        wake=threading.Event(),
        space=Space(folder.root, keep_free=keep_free),
        made=lambda: None,
        stopping=threading.Event(),
    )


def take(folder: NodeFolder, queue: Queue, uid: str = "1.2") -> int:
    folder.keep_film(f"{uid}.dcm", b"pixels")
    accepted, number = queue.add(uid, f"{uid}.dcm", sender="CR1", size=6)
    assert accepted is Accepted.new
    return number


def test_a_film_goes_through_every_state(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    assert queue.add("1.2", "other", sender="CR1", size=6) == (Accepted.duplicate, number)
    queue.segmented(number, ["A", "B"], verdict="ok")
    assert queue.next_film() is None
    assert queue.delivered(number, "A") is None
    assert queue.due("A") is None
    assert queue.due("B") is not None
    assert queue.delivered(number, "B") == "1.2.dcm"
    assert queue.held() == (set(), set())
    assert queue.add("1.2", "other", sender="CR1", size=6) == (Accepted.duplicate, number)
    queue.close()


def test_what_is_refused_waits_and_holds_up_nothing(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    first, second = take(folder, queue, "1.1"), take(folder, queue, "1.2")
    queue.segmented(first, ["A"], verdict="ok")
    queue.segmented(second, ["A"], verdict="ok")
    queue.refused(first, "A", "status 0xa900", wait_s=3600)
    due = queue.due("A")
    assert due is not None
    assert due.number == second
    queue.close()


def test_a_film_that_ends_the_process_every_time_is_given_up(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    number = take(folder, queue)
    for _ in range(MOST_ATTEMPTS):  # lives that began it and were never heard of again
        film = queue.next_film()
        assert film is not None
        queue.begin(film.number)
    film = queue.next_film()
    assert film is not None
    worker(folder, queue, lambda _: pytest.fail("tried again"))._segment(film)
    assert queue.next_film() is None
    assert queue.add("1.2", "again.dcm", sender="CR1", size=6) == (Accepted.again, number)
    queue.close()


def test_a_disk_that_takes_no_results_is_not_the_films_fault(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    take(folder, queue)
    film = queue.next_film()
    assert film is not None

    def make(_: Path) -> Made:
        return Made({"1-dicom-seg.dcm": b"result"}, Quality("ok", None))

    with pytest.raises(UsageError, match="too little free space"):
        worker(folder, queue, make, keep_free=10**18)._segment(film)
    again = queue.next_film()
    assert again is not None
    assert again.attempts == 0
    worker(folder, queue, make)._segment(again)
    assert [each.read_bytes() for each in folder.results_of(film.number)] == [b"result"]
    queue.close()


def test_weights_that_answer_nonsense_stop_the_node_and_fail_no_film(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    take(folder, queue)

    def make(_: Path) -> Made:
        raise WeightsError("nan")

    with pytest.raises(WeightsError):
        worker(folder, queue, make).run()
    film = queue.next_film()
    assert film is not None
    assert film.attempts == 0
    queue.close()


def test_what_a_killed_node_left_is_removed(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    done, half = take(folder, queue, "1.1"), take(folder, queue, "1.2")
    folder.keep_results(done, {"1.dcm": b""})
    queue.segmented(done, ["A"], verdict="ok")
    folder.keep_results(half, {"1.dcm": b""})  # and killed before the queue knew
    (folder.results / "7.part").mkdir()
    folder.keep_film("orphan.dcm", b"never acknowledged")
    (folder.films / ".pleura-1-00.part").write_bytes(b"half a film")
    assert folder.tidy(*queue.held()) == 4
    assert {each.name for each in folder.films.iterdir()} == {"1.1.dcm", "1.2.dcm"}
    assert {each.name for each in folder.results.iterdir()} == {str(done)}
    queue.close()


def test_a_file_that_is_no_queue_is_told(folder: NodeFolder) -> None:
    folder.queue.write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match="cannot be used"):
        Queue(folder.queue)


def test_every_change_is_on_the_disk_when_it_is_told(folder: NodeFolder) -> None:
    queue = Queue(folder.queue)
    found = {
        name: queue._base.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }
    assert found == {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL
    queue.close()
    with sqlite3.connect(folder.queue) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    base.close()


@given(st.integers(0, 10**6), st.floats(0.1, 10**5))
def test_pauses_grow_to_the_longest_and_no_further(failures: int, longest_s: float) -> None:
    pause, later = pause_s(failures, longest_s), pause_s(failures + 1, longest_s)
    assert 0 < pause <= later <= longest_s
    assert later == min(2 * pause, longest_s) or pause == longest_s
