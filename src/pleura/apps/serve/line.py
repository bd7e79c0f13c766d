"""The queue: a bounded number of films, worked on by a few threads."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, get_ident
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

    def __init__(self, places: int, *, workers: int, longest_s: float = math.inf) -> None:
        """Start with an empty queue; a job that takes longer than `longest_s` counts as stuck."""
        self.places, self.workers, self.longest_s = places, workers, longest_s
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pleura-film")
        self._changed = Condition()
        self._held = 0
        self._begun: dict[int, float] = {}
        """When each thread began the job that it works on, by the thread's number."""
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

    @property
    def stuck(self) -> int:
        """Threads that have worked on one job for longer than a job may take."""
        since = time.perf_counter() - self.longest_s
        return sum(begun < since for begun in list(self._begun.values()))

    def check_room(self, jobs: int = 1) -> None:
        """Raise `Busy` if so many jobs would be refused now."""
        if self._held + jobs > self.places:
            raise self._busy()
        if self.stuck >= self.workers:
            raise Busy(
                f"every worker has been busy with one film for over {self.longest_s:g} s; send "
                "the films again later",
                retry_after_s=LONGEST_RETRY_S,
            )

    def submit(
        self, jobs: Sequence[Callable[[], A]], *, ended: Callable[[], object] = lambda: None
    ) -> list[asyncio.Future[A]]:
        """Accept all the jobs, or none; `ended` is called when each has ended or was given up.

        Raises:
            Busy: there is not room for all; it says when there may be.
        """
        with self._changed:
            self.check_room(len(jobs))
            self._held += len(jobs)
        return [asyncio.wrap_future(self._start(job, ended)) for job in jobs]

    def close(self, wait_s: float | None = None) -> bool:
        """Give up what has not begun, and wait for the rest; False if it did not end in time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, wait_s)

    def _start(self, job: Callable[[], A], ended: Callable[[], object]) -> Future[A]:
        future = self._pool.submit(functools.partial(self._timed, job))
        future.add_done_callback(functools.partial(self._free, ended))
        return future

    def _timed(self, job: Callable[[], A]) -> A:
        start = self._begun[get_ident()] = time.perf_counter()
        try:
            return job()
        finally:
            del self._begun[get_ident()]
            self._job_s += 0.1 * (time.perf_counter() - start - self._job_s)

    def _free(self, ended: Callable[[], object], _: Future[A]) -> None:
        with self._changed:
            self._held -= 1
            self._changed.notify_all()
        ended()

    def _busy(self) -> Busy:
        wait_s = math.ceil(self._held * self._job_s / self.workers)
        return Busy(
            f"all {self.places} places in the queue are taken; send the films again later, "
            "or fewer at a time",
            retry_after_s=max(1, min(LONGEST_RETRY_S, wait_s)),
        )
