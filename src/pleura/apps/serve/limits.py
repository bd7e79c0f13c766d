"""What one request may cost."""

from __future__ import annotations

import asyncio
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Lock, get_ident
from typing import TypeVar

from pleura.apps.serve.problems import Busy
from pleura.core.errors import UsageError

__all__ = ["Hold", "Limits", "Line", "Part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Checked before work is done, so that no request can take the service from the others."""

    request_bytes: int = 128_000_000
    """Of a request's body, all its films together."""

    film_pixels: int = 40_000_000
    """Of a film, read from its header before it is decoded. The largest detectors and film
    scanners stay below."""

    request_films: int = 16
    queue_films: int = 64
    """Films accepted and not yet answered; a request beyond is told to come again."""

    headers_s: float = 10.0
    """From a connection to the end of its request's headers."""

    upload_s: float = 60.0
    """From a request's headers to the end of its body, and as long again to take the answer."""

    answer_s: float = 120.0
    """From the end of the body to the answer. A film that is worked on for longer is stuck: the
    service is not ready meanwhile."""

    grace_s: float = 25.0
    """From the signal to end to the end, for films that were accepted."""

    @property
    def held_bytes(self) -> int:
        """Of the bodies of all requests under way."""
        return 4 * self.request_bytes

    def __post_init__(self) -> None:
        if self.request_films > self.queue_films:
            raise UsageError(
                f"a request may bring {self.request_films} films, but the queue holds only "
                f"{self.queue_films}; give a longer queue or fewer films a request"
            )


RETRY_S = 2


class Hold:
    """Counts the bytes that requests hold, and those they have announced."""

    def __init__(self, most: int) -> None:
        """Begin with none."""
        self.most, self.bytes = most, 0
        self._lock = Lock()

    def part(self) -> Part:
        """One request's part, nothing as yet."""
        return Part(self)

    def add(self, size: int) -> None:
        """Count so many more bytes, or fewer if it is negative.

        Raises:
            Busy: there is no room for them.
        """
        with self._lock:
            if size > 0 and self.bytes + size > self.most:
                raise Busy(
                    f"the requests under way hold {self.most / 1e6:g} MB, the most that is kept "
                    "in memory; send the films again later, or fewer at a time",
                    retry_after_s=RETRY_S,
                )
            self.bytes += size


class Part:
    """What one request holds; given back when the request and all its films have ended."""

    def __init__(self, hold: Hold) -> None:
        """Begin with nothing, and one user: the request."""
        self._hold, self._counted, self._arrived, self._users = hold, 0, 0, 1
        self._lock = Lock()

    def reserve(self, size: int) -> None:
        """Make room for bytes that are announced.

        Raises:
            Busy: there is none.
        """
        self._hold.add(size)
        self._counted += size

    def take(self, size: int) -> None:
        """Keep so many more bytes, out of what was reserved as long as that lasts.

        Raises:
            Busy: there is no room beyond. What there was is given back at once, for the others
                that come side by side.
        """
        self._arrived += size
        if self._arrived <= self._counted:
            return
        try:
            self.reserve(self._arrived - self._counted)
        except Busy:
            self._give_back()
            raise

    @contextmanager
    def shared(self, users: int) -> Iterator[Callable[[], None]]:
        """So many more users: films, which may be worked on when their request has gone.

        Each says by the function that it is given that it has ended; an error in the block says
        that none began.
        """
        with self._lock:
            self._users += users
        try:
            yield self.leave
        except BaseException:
            for _ in range(users):
                self.leave()
            raise

    def leave(self) -> None:
        """One user less; the last gives everything back."""
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self._give_back()

    def _give_back(self) -> None:
        self._hold.add(-self._counted)
        self._counted = 0


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
