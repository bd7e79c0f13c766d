"""The queue: a bounded number of films, worked on by a few threads."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from pleura.apps.serve.refusals import Busy

__all__ = ["Line"]

A = TypeVar("A")

LONGEST_RETRY_S = 60


class Line:
    """Takes at most `places` jobs at a time; `workers` threads do them in the order they came.

    A job holds its place until it has ended, even if nobody waits for its answer any more: what
    is bounded is the work, not the number of patient clients.
    """

    def __init__(self, places: int, *, workers: int) -> None:
        """Start with an empty queue."""
        self.places, self.workers = places, workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pleura-film")
        self._lock = Lock()
        self._held = 0
        self._job_s = 1.0
        """Of late, a job's time on its thread; a running mean."""

    @property
    def held(self) -> int:
        """Places taken."""
        return self._held

    @property
    def is_full(self) -> bool:
        """Whether one more job would be refused."""
        return self._held >= self.places

    def check_room(self, jobs: int = 1) -> None:
        """Raise `Busy` if so many jobs would be refused now."""
        if self._held + jobs > self.places:
            raise self._busy()

    def submit(self, jobs: Sequence[Callable[[], A]]) -> list[asyncio.Future[A]]:
        """Accept all the jobs, or none.

        Raises:
            Busy: there is not room for all; it says when there may be.
        """
        with self._lock:
            self.check_room(len(jobs))
            self._held += len(jobs)
        return [asyncio.wrap_future(self._start(job)) for job in jobs]

    def close(self) -> None:
        """Finish what was accepted."""
        self._pool.shutdown(wait=True)

    def _start(self, job: Callable[[], A]) -> Future[A]:
        future = self._pool.submit(functools.partial(self._timed, job))
        future.add_done_callback(self._free)
        return future

    def _timed(self, job: Callable[[], A]) -> A:
        start = time.perf_counter()
        try:
            return job()
        finally:
            self._job_s += 0.1 * (time.perf_counter() - start - self._job_s)

    def _free(self, _: Future[A]) -> None:
        with self._lock:
            self._held -= 1

    def _busy(self) -> Busy:
        wait_s = math.ceil(self._held * self._job_s / self.workers)
        return Busy(
            f"all {self.places} places in the queue are taken; send the films again later, "
            "or fewer at a time",
            retry_after_s=max(1, min(LONGEST_RETRY_S, wait_s)),
        )
