"""The workers of a run, and the chunks of films that they segment.

A worker has two chunks: one being processed, and one that waits, so that it is never idle. Films
that are not handed out stay here, so memory and queues do not grow with their number. If a
worker crashes in a chunk, the films of that chunk are segmented again one by one, and read in a
decoder process; a film that crashes `MAX_CRASHES` workers fails with the reason. Such a film is
given to a worker alone, because a crash can also lose the result of the film that the worker
finished just before. The films of a lost node are segmented again on other nodes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Any

from pleura.apps.segment.pipeline import Failed
from pleura.apps.segment.work import Ended, Watch
from pleura.apps.segment.workers.handle import WorkerHandle, WorkerLost, Workers
from pleura.apps.segment.workers.worker import NodeView, Ready
from pleura.core.errors import PleuraError, UsageError
from pleura.core.types import Provenance
from pleura.io.run.find import FilmFile

__all__ = ["MAX_CRASHES", "Pool"]

MAX_CRASHES = 3
"""The number of worker crashes after which a film fails."""

_MAX_LOST_NODES = 20
"""The number of lost nodes after which a film fails."""

_MAX_FAILED_STARTS = 5
"""The run ends when this many workers in a row have ended before they could begin."""

_CHUNKS_A_WORKER = 2
_FIRST_CHUNK = 2  # films
_MAX_CHUNK = 64
_CHUNK_S = 2.0
"""The time that a worker should take for a chunk; a crash loses at most this much work."""

_POLL_S = 0.1
_COUNT_EVERY_S = 2.0
"""How often the cluster is asked for its size."""


@dataclass(eq=False, slots=True)
class _Chunk:
    films: Sequence[FilmFile]
    crashes: int = 0
    """Workers that crashed while they segmented it."""

    lost_nodes: int = 0
    """Nodes that were lost while they segmented it."""

    @property
    def weight(self) -> int:
        return len(self.films)

    @property
    def suspected(self) -> bool:
        """Whether a worker crashed while it segmented these films."""
        return self.crashes > 0


@dataclass(eq=False, slots=True)
class _PoolWorker:
    """A worker of the pool, which may still be starting."""

    handle: WorkerHandle
    ready: bool = False
    chunks: deque[_Chunk] = field(default_factory=deque)
    size: int = _FIRST_CHUNK
    """Films in its next chunk."""

    since: float = 0.0
    """When it began its first chunk, or ended its last one."""

    def has_room(self, *, suspected: bool) -> bool:
        """Whether it may be given a chunk now; a suspected chunk is alone with its worker."""
        if not self.ready or not self.chunks:
            return self.ready
        alone = suspected or self.chunks[0].suspected
        return not alone and len(self.chunks) < _CHUNKS_A_WORKER


_Event = tuple[_PoolWorker, "_Chunk | None", "Future[Any]"]


class Pool:
    """Segments films on workers; `work.Executor`."""

    def __init__(self, workers: Workers, *, seen: NodeView, most: int | None = None) -> None:
        """Begin without workers; `open` asks for them.

        There are at most `most` workers; if that is None, as many as there is room for. Every
        worker must see the files in `seen`.
        """
        self._source, self._seen, self._most = workers, seen, most
        self._events: SimpleQueue[_Event] = SimpleQueue()
        self._workers: list[_PoolWorker] = []
        self._waiting: deque[_Chunk] = deque()
        self._failed_starts = 0
        self._counted = -_COUNT_EVERY_S
        self._places = 0
        self._made_by: Provenance | None = None
        self.crashed = 0
        """The number of workers that crashed or were killed."""

    @property
    def provenance(self) -> Provenance:
        """That of the first worker; all others have the same."""
        assert self._made_by is not None, "open() waits for the first worker"
        return self._made_by

    def open(self, films: int) -> None:
        """Ask for the workers of a run over `films` films, and wait for the first one.

        Raises:
            UsageError: the cluster has no room for a worker, or a node cannot read the files.
        """
        if self._most is None and not self._source.room():
            raise UsageError(
                "no node of the cluster has room for a worker: give fewer --threads; if nodes are "
                "started on demand, give --workers"
            )
        while self._made_by is None:
            self._ask_for_workers(max(1, films))
            for _ in self._collect():
                raise AssertionError("no film was handed out")

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.handle.kill()
        self._workers.clear()

    def run(self, films: Sequence[FilmFile], watch: Watch) -> Iterator[list[Ended]]:
        """Segment the films, and yield the results of the chunks in the order of completion.

        Each film has one result.
        """
        left = len(films)
        unassigned = deque(films)
        while left and not (watch.stopped() and (watch.overdue() or not self._is_busy())):
            if not watch.stopped():
                self._ask_for_workers(left)
                self._hand_out(unassigned, watch)
            for ends in self._collect():
                left -= len(ends)
                yield ends

    def _is_busy(self) -> bool:
        return any(worker.chunks for worker in self._workers)

    def _ask_for_workers(self, films: int) -> None:
        """Ask for workers, as many as there is room for and not more than films."""
        now = time.monotonic()
        if now - self._counted < _COUNT_EVERY_S and len(self._workers) >= self._places:
            return
        self._counted = now
        self._places = self._source.room() if self._most is None else self._most
        while len(self._workers) < min(self._places, films):
            worker = _PoolWorker(self._source.start())
            self._workers.append(worker)
            self._expect(worker, None, worker.handle.begin(self._seen))

    def _expect(self, worker: _PoolWorker, chunk: _Chunk | None, future: Future[Any]) -> None:
        future.add_done_callback(lambda done: self._events.put((worker, chunk, done)))

    def _hand_out(self, unassigned: deque[FilmFile], watch: Watch) -> None:
        for _ in range(_CHUNKS_A_WORKER):
            for worker in self._workers:
                chunk = self._next_chunk(worker, unassigned)
                if chunk is not None:
                    self._send(worker, chunk, watch)

    def _next_chunk(self, worker: _PoolWorker, unassigned: deque[FilmFile]) -> _Chunk | None:
        """The chunk that this worker is given next; None if it has no room, or none is left."""
        if self._waiting:
            first = self._waiting[0]
            return self._waiting.popleft() if worker.has_room(suspected=first.suspected) else None
        share = len(unassigned) // (_CHUNKS_A_WORKER * len(self._workers))  # all end at one time
        size = min(worker.size, max(1, share), len(unassigned))
        if not size or not worker.has_room(suspected=False):
            return None
        return _Chunk([unassigned.popleft() for _ in range(size)])

    def _send(self, worker: _PoolWorker, chunk: _Chunk, watch: Watch) -> None:
        if not worker.chunks:
            worker.since = time.monotonic()
        worker.chunks.append(chunk)
        names = [film.name for film in chunk.films]
        suspects = frozenset(n for n in names if chunk.crashes or n in watch.suspects)
        self._expect(worker, chunk, worker.handle.do(chunk.films, suspects))

    def _collect(self) -> Iterator[list[Ended]]:
        """Yield the films of the chunks that have ended; wait a short time for the first chunk."""
        try:
            event = self._events.get(timeout=_POLL_S)
            while True:
                yield from self._handle(*event)
                event = self._events.get_nowait()
        except Empty:
            return

    def _handle(
        self, worker: _PoolWorker, chunk: _Chunk | None, future: Future[Any]
    ) -> Iterator[list[Ended]]:
        if worker not in self._workers:  # it was lost, and its chunks were handed out again
            return
        error = future.exception()
        if error is not None:
            yield from self._end_worker(worker, error)
            return
        answer = future.result()
        if isinstance(answer, PleuraError):
            raise answer
        if chunk is None:
            self._begin(worker, answer)
        else:
            self._note_done(worker, chunk)
            yield answer

    def _begin(self, worker: _PoolWorker, ready: Ready) -> None:
        self._failed_starts = 0
        made_by = self._made_by = self._made_by or ready.provenance
        if ready.provenance != made_by:
            raise UsageError(
                f"the node {ready.host} segments with {ready.provenance.engine}, and another one "
                f"with {made_by.engine}: name one --engine and --precision for all nodes"
            )
        worker.ready = True

    def _note_done(self, worker: _PoolWorker, chunk: _Chunk) -> None:
        worker.chunks.remove(chunk)
        now = time.monotonic()
        rate = chunk.weight / max(1e-6, now - worker.since)
        worker.since = now
        worker.size = max(1, min(_MAX_CHUNK, 2 * worker.size, round(rate * _CHUNK_S)))

    def _end_worker(self, worker: _PoolWorker, error: BaseException) -> Iterator[list[Ended]]:
        """Put the films of a worker that ended in the queue again, or fail them."""
        if not isinstance(error, WorkerLost):  # a defect of Pleura
            raise error
        self._workers.remove(worker)
        self.crashed += error.crashed
        worker.handle.kill()
        if not worker.ready:
            self._count_failed_start(error)
        chunks = list(worker.chunks)
        for chunk in reversed(chunks[1:]):  # it had not begun these
            self._waiting.appendleft(chunk)
        if chunks:
            yield from self._requeue_or_fail(chunks[0], error)

    def _requeue_or_fail(self, chunk: _Chunk, error: WorkerLost) -> Iterator[list[Ended]]:
        crashed = error.crashed
        crashes, lost_nodes = chunk.crashes + crashed, chunk.lost_nodes + (not crashed)
        if crashes < MAX_CRASHES and lost_nodes < _MAX_LOST_NODES:
            alone = [_Chunk([film], crashes, lost_nodes) for film in chunk.films]
            self._waiting.extendleft(
                reversed(alone if crashed else [replace(chunk, lost_nodes=lost_nodes)])
            )
            return
        yield [Failed(film, _reason(error, crashes, lost_nodes), 0.0) for film in chunk.films]

    def _count_failed_start(self, error: WorkerLost) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _MAX_FAILED_STARTS:
            raise UsageError(
                f"the workers end before they can begin: {_last_lines(error)}; check that "
                f"{self._source.advice}"
            )


def _reason(error: WorkerLost, crashes: int, lost_nodes: int) -> str:
    if crashes < MAX_CRASHES:
        return (
            f"{lost_nodes} nodes were lost while they segmented this film; run again with --resume"
        )
    cause = "ran out of memory" if error.out_of_memory else "crashed or was killed"
    return (
        f"{crashes} worker processes ended while they segmented this film (the last one {cause}); "
        "the film may be damaged, or need more memory than a worker has: look at it, make it "
        "smaller, or take fewer --workers"
    )


def _last_lines(error: WorkerLost) -> str:
    """The last lines of the text, which hold the cause, on one line."""
    return " ".join(" ".join(str(error).splitlines()[-2:]).split())[:400]
