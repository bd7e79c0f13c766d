"""The state of the web service: the engine, the queue, the limits, the key and the metrics."""

from __future__ import annotations

import asyncio
import functools
import hmac
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pleura._version import __version__
from pleura.apps.serve.errors import KeyNeeded, Stopping, TookTooLong
from pleura.apps.serve.limits.film_queue import FilmQueue
from pleura.apps.serve.limits.limits import Limits
from pleura.apps.serve.limits.upload_memory import RequestMemory, UploadMemory
from pleura.apps.serve.metrics import ServiceMetrics
from pleura.apps.serve.requests.uploads import Upload
from pleura.apps.serve.responses.film_response import (
    FilmResponse,
    Outcome,
    ResponseOptions,
    segment_upload,
)
from pleura.apps.serve.responses.problem_details import log_defect
from pleura.apps.serve.security.hosts import AllowedHosts
from pleura.core.errors import PleuraError
from pleura.runtime.batching import SharedEngine
from pleura.runtime.engine import Engine

__all__ = ["Service"]

Result = TypeVar("Result")

CLOSE_S = 1.0
"""How long `close` waits for the threads, seconds."""


@dataclass
class Service:
    """The objects that exist as long as the server runs."""

    engine: Engine
    limits: Limits = field(default_factory=Limits)
    key: str | None = None
    """The API key that clients must send; None if they need none."""

    hosts: AllowedHosts = field(default_factory=AllowedHosts)

    root_path: str = ""
    """The path prefix that a reverse proxy serves it at, such as `/pleura`; empty for none."""

    workers: int = 4
    """Threads that decode, clean and encode films; up to this many films are predicted in one
    batch."""

    def __post_init__(self) -> None:
        self.metrics = ServiceMetrics()
        self.shared_engine = SharedEngine(
            self.engine, most=self.workers, on_batch=self.metrics.batch.observe
        )
        self.queue = FilmQueue(
            self.limits.queue_films, workers=self.workers, job_limit_s=self.limits.answer_s
        )
        self._stopped = asyncio.Event()
        self.upload_memory = UploadMemory(self.limits.upload_memory_bytes)
        self.metrics.watch(self.queue, self.upload_memory)
        self.metrics.describe(
            version=__version__,
            weights=self.engine.card.name,
            weights_sha256=self.engine.weights_sha256,
            engine=self.engine.name,
        )

    def check_key(self, client_key: str) -> None:
        """Compare a client's key in constant time.

        Raises:
            KeyNeeded: it is missing or wrong.
        """
        if self.key is None:
            return
        if not hmac.compare_digest(client_key.encode(), self.key.encode()):
            raise KeyNeeded

    def status(self) -> Literal["ready", "full", "stuck"]:
        """Whether a film would be accepted, and answered in time.

        `full` if the queue is full; `stuck` if a worker is stuck in a film or the network's thread
        has ended.
        """
        if self.queue.stuck or not self.shared_engine.is_alive:
            return "stuck"
        return "full" if self.queue.is_full else "ready"

    async def run_until_stopped(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`.

        Raises:
            Stopping: the service ends before `work` is done.
        """
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stopped.wait())
        try:
            with suppress(asyncio.CancelledError):  # the server cancels when it must end at once
                await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self.stop()
            raise Stopping
        finally:
            task.cancel()
            stopped.cancel()

    async def segment(
        self, uploads: Sequence[Upload], options: ResponseOptions, memory: RequestMemory
    ) -> list[Outcome]:
        """Segment films. The outcome of a failed film is its error; of any other, its response.

        The reserved `memory` is held until the films have ended.

        Raises:
            Busy: the queue has no room for all of them, and none was begun.
            TookTooLong: they were not segmented in time.
        """
        start = time.perf_counter()
        futures = self.submit(uploads, options, memory)
        all_outcomes = asyncio.gather(*futures, return_exceptions=True)
        try:
            async with asyncio.timeout(self.limits.answer_s):
                outcomes = await all_outcomes
        except TimeoutError:
            raise TookTooLong(self.limits.answer_s) from None
        self.metrics.seconds.observe(time.perf_counter() - start)
        return [self._count(outcome) for outcome in outcomes]

    def submit(
        self, uploads: Sequence[Upload], options: ResponseOptions, memory: RequestMemory
    ) -> list[asyncio.Future[FilmResponse]]:
        """Begin to segment films; the reserved `memory` is held until they have ended.

        Raises:
            Busy: the queue has no room for all of them, and none was begun.
        """
        jobs = [functools.partial(self._segment, upload, options) for upload in uploads]
        with memory.shared_with(len(jobs)) as release:
            return self.queue.submit(jobs, on_end=release)

    async def as_completed(
        self, films: Sequence[asyncio.Future[FilmResponse]]
    ) -> AsyncIterator[tuple[int, Outcome]]:
        """The outcomes of submitted films as they come, each with the film's number from 0.

        If a film is not finished in time, or the service ends first, its outcome is `TookTooLong`
        or `Stopping`.
        """
        start, stopped = time.perf_counter(), asyncio.ensure_future(self._stopped.wait())
        pending = {future: number for number, future in enumerate(films)}
        try:
            while pending:
                left_s = max(0.0, self.limits.answer_s - (time.perf_counter() - start))
                both: list[asyncio.Future[Any]] = [*pending, stopped]
                await asyncio.wait(both, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                ended = [future for future in pending if future.done()]
                for future in ended:
                    yield pending.pop(future), self._count(_outcome(future))
                if ended and not stopped.done():
                    continue
                error = Stopping() if stopped.done() else TookTooLong(self.limits.answer_s)
                for number in pending.values():
                    yield number, error
                return
            self.metrics.seconds.observe(time.perf_counter() - start)
        finally:
            stopped.cancel()
            for future in pending:  # nobody waits for their errors, which must not be logged
                future.add_done_callback(_outcome)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Answer `Stopping` to every request in progress. Call it in the event loop's thread."""
        self._stopped.set()

    def close(self) -> bool:
        """End the threads. Returns False if one is stuck; it then runs until the process ends."""
        return self.queue.close(CLOSE_S) and self.shared_engine.close(CLOSE_S)

    def _segment(self, upload: Upload, options: ResponseOptions) -> FilmResponse:
        return segment_upload(
            upload.content,
            self.shared_engine,
            options,
            name=upload.name,
            max_pixels=self.limits.film_pixels,
        )

    def _count(self, outcome: FilmResponse | BaseException) -> Outcome:
        """Count an outcome, and log it if it is a defect; a `BaseException` is raised again."""
        if not isinstance(outcome, BaseException):
            self.metrics.films.labels("done").inc()
            self.metrics.verdicts.labels(outcome.quality.verdict).inc()
            return outcome
        if not isinstance(outcome, Exception):
            raise outcome
        is_defect = not isinstance(outcome, PleuraError)
        self.metrics.films.labels("error" if is_defect else "failed").inc()
        if is_defect:
            log_defect(outcome)
        return outcome


def _outcome(future: asyncio.Future[FilmResponse]) -> FilmResponse | BaseException:
    """The result of an ended job, or its error; `Stopping` if it never began."""
    if future.cancelled():
        return Stopping()
    return future.exception() or future.result()
