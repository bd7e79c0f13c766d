"""The pool of a run on Ray, with workers of the test: which films are blamed for a death."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pleura.apps.segment.cluster.pool import MAX_CRASHES, Pool
from pleura.apps.segment.cluster.worker import NodeView, Ready
from pleura.apps.segment.pipeline import Failed
from pleura.apps.segment.work import Watch
from pleura.core.types import Provenance
from pleura.io.run.find import FilmFile

SEEN = NodeView(version="1", lock=Path("lock"), lock_text="", film=None)
MADE_BY = Provenance(
    version="1", weights_name="w", weights_sha256="0", engine="e", definition="field"
)
READY = Ready(host="here", provenance=MADE_BY)


class WorkerDiedError(Exception):
    """What Ray raises for every call of a worker whose process ended."""


class Actor:
    """A worker of which a death costs all answers that were not yet fetched."""

    def __init__(self) -> None:
        self.begin = SimpleNamespace(remote=self._begin)
        self.do = SimpleNamespace(remote=self._do)
        self.calls: list[tuple[list[FilmFile], Future[Any]]] = []

    def _begin(self, _: NodeView) -> Any:
        future: Future[Any] = Future()
        future.set_result(READY)
        return SimpleNamespace(future=lambda: future)

    def _do(self, films: list[FilmFile], _: frozenset[str]) -> Any:
        self.calls.append((films, Future()))
        return SimpleNamespace(future=lambda future=self.calls[-1][1]: future)

    def work(self) -> None:
        """Do all calls that wait; at `killer` the process ends before an answer has left it."""
        calls, self.calls = self.calls, []
        died = any(film.path.stem == "killer" for films, _ in calls for film in films)
        for films, future in calls:
            if died:
                future.set_exception(WorkerDiedError("The actor's worker process has died."))
            else:
                future.set_result([f"done {film.path.stem}" for film in films])


@pytest.fixture
def actors() -> list[Actor]:
    return []


@pytest.fixture
def pool(actors: list[Actor]) -> Iterator[Pool]:
    def start() -> Actor:
        actors.append(Actor())
        return actors[-1]

    errors = SimpleNamespace(RayError=WorkerDiedError, RayTaskError=KeyError)
    ray = SimpleNamespace(exceptions=errors, kill=lambda _: None)
    made = Pool(ray, start, seen=SEEN, room=lambda: 2)
    made.open(8)
    yield made
    made.close()


@pytest.mark.parametrize("place", range(8))
def test_only_the_film_that_ends_its_workers_fails(
    pool: Pool, actors: list[Actor], place: int
) -> None:
    names = [f"film{number}" for number in range(7)]
    names.insert(place, "killer")
    films = [FilmFile(f"{name}.png", name) for name in names]

    def stopped() -> bool:  # asked once in each round of the pool
        for actor in actors:
            actor.work()
        return False

    ends = [end for some in pool.run(films, Watch(stopped=stopped)) for end in some]
    failed = [end for end in ends if isinstance(end, Failed)]
    assert [end.file.path.stem for end in failed] == ["killer"]
    assert (
        f"{MAX_CRASHES} worker processes ended while they segmented this film" in failed[0].reason
    )
    done = sorted(end for end in ends if isinstance(end, str))
    assert done == [f"done film{number}" for number in range(7)]
