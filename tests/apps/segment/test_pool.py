"""The pool of workers, with workers of the test: which films are blamed for a death."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pleura.apps.segment.pipeline import Failed
from pleura.apps.segment.work import Watch
from pleura.apps.segment.workers.handle import Answer, Start, WorkerLost
from pleura.apps.segment.workers.pool import MAX_CRASHES, Pool
from pleura.apps.segment.workers.worker import NodeView, Ready
from pleura.core.types import Provenance
from pleura.io.run.find import FilmFile

SEEN = NodeView(version="1", lock=Path("lock"), lock_text="", film=None)
MADE_BY = Provenance(
    version="1", weights_name="w", weights_sha256="0", engine="e", definition="field"
)
READY = Ready(host="here", provenance=MADE_BY)


class TestWorker:
    """A worker of which a death costs all answers that were not yet fetched."""

    __test__ = False

    def __init__(self) -> None:
        self.calls: list[tuple[Sequence[FilmFile], Future[Answer]]] = []

    def begin(self, _: NodeView) -> Future[Start]:
        future: Future[Start] = Future()
        future.set_result(READY)
        return future

    def do(self, films: Sequence[FilmFile], _: frozenset[str]) -> Future[Answer]:
        self.calls.append((films, Future()))
        return self.calls[-1][1]

    def kill(self) -> None:
        pass

    def work(self) -> None:
        """Do all calls that wait; at `killer` the process ends before an answer has left it."""
        calls, self.calls = self.calls, []
        died = any(film.path.stem == "killer" for films, _ in calls for film in films)
        for films, future in calls:
            if died:
                future.set_exception(WorkerLost("died", crashed=True))
            else:
                done: Any = [f"done {film.path.stem}" for film in films]
                future.set_result(done)


class TestWorkers:
    """Has room for two workers."""

    __test__ = False
    advice = "they start"

    def __init__(self) -> None:
        self.started: list[TestWorker] = []

    def start(self) -> TestWorker:
        self.started.append(TestWorker())
        return self.started[-1]

    def room(self) -> int:
        return 2


@pytest.fixture
def workers() -> TestWorkers:
    return TestWorkers()


@pytest.fixture
def pool(workers: TestWorkers) -> Iterator[Pool]:
    made = Pool(workers, seen=SEEN)
    made.open(8)
    yield made
    made.close()


@pytest.mark.parametrize("place", range(8))
def test_only_the_film_that_ends_its_workers_fails(
    pool: Pool, workers: TestWorkers, place: int
) -> None:
    names = [f"film{number}" for number in range(7)]
    names.insert(place, "killer")
    films = [FilmFile(f"{name}.png", name) for name in names]

    def stopped() -> bool:  # asked once in each round of the pool
        for worker in workers.started:
            worker.work()
        return False

    ends = [end for some in pool.run(films, Watch(stopped=stopped)) for end in some]
    failed = [end for end in ends if isinstance(end, Failed)]
    assert [end.file.path.stem for end in failed] == ["killer"]
    assert (
        f"{MAX_CRASHES} worker processes ended while they segmented this film" in failed[0].reason
    )
    done = sorted(end for end in ends if isinstance(end, str))
    assert done == [f"done film{number}" for number in range(7)]
