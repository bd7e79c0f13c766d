"""The queue of films, and the worker threads that segment them."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, get_ident
from typing import TypeVar

from pleura.apps.serve.errors import Busy

__all__ = ["FilmQueue"]

Result = TypeVar("Result")


class FilmQueue:
    """A bounded queue: it holds at most `capacity` jobs, and `workers` threads run them in order.

    A job keeps its place until it has ended, even if its client has gone, so that the work is
    bounded and not only the number of waiting clients.
    """

    def __init__(self, capacity: int, *, workers: int, job_limit_s: float = math.inf) -> None:
        """Start with an empty queue. A job that takes longer than `job_limit_s` is stuck."""
        self.capacity, self.workers, self.job_limit_s = capacity, workers, job_limit_s
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="pleura-film")
        self._changed = Condition()
        self._held = 0
        self._start_times: dict[int, float] = {}
        """The time at which each thread began its current job, by the thread's number."""
        self._job_s = 1.0
        """The running mean of a job's time on its thread, seconds."""

    @property
    def held(self) -> int:
        """The places that are taken."""
        return self._held

    @property
    def is_full(self) -> bool:
        """Whether one more job would be rejected."""
        return self._held >= self.capacity

    @property
    def stuck(self) -> int:
        """The threads that have worked on one job for longer than `job_limit_s`."""
        oldest_start = time.perf_counter() - self.job_limit_s
        return sum(start < oldest_start for start in list(self._start_times.values()))

    def check_room(self, jobs: int = 1) -> None:
        """Check that the queue accepts this many jobs now.

        Raises:
            Busy: the queue is full, or all workers are stuck.
        """
        if self._held + jobs > self.capacity:
            wait_s = math.ceil(self._held * self._job_s / self.workers)
            raise Busy.queue_is_full(self.capacity, wait_s=wait_s)
        if self.stuck >= self.workers:
            raise Busy.workers_are_stuck(self.job_limit_s)

    def submit(
        self, jobs: Sequence[Callable[[], Result]], *, on_end: Callable[[], object] = lambda: None
    ) -> list[asyncio.Future[Result]]:
        """Accept all the jobs, or none. `on_end` is called once for each that ends or is cancelled.

        Raises:
            Busy: there is no room for all of them.
        """
        with self._changed:
            self.check_room(len(jobs))
            self._held += len(jobs)
        return [asyncio.wrap_future(self._start(job, on_end)) for job in jobs]

    def close(self, wait_s: float | None = None) -> bool:
        """Cancel the jobs that have not begun, and wait for the others.

        Returns False if one has not ended after `wait_s` seconds.
        """
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, wait_s)

    def _start(self, job: Callable[[], Result], on_end: Callable[[], object]) -> Future[Result]:
        future = self._pool.submit(functools.partial(self._timed, job))
        future.add_done_callback(functools.partial(self._free_place, on_end))
        return future

    def _timed(self, job: Callable[[], Result]) -> Result:
        start = self._start_times[get_ident()] = time.perf_counter()
        try:
            return job()
        finally:
            del self._start_times[get_ident()]
            self._job_s += 0.1 * (time.perf_counter() - start - self._job_s)

    def _free_place(self, on_end: Callable[[], object], _: Future[Result]) -> None:
        with self._changed:
            self._held -= 1
            self._changed.notify_all()
        on_end()
