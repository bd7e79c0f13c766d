"""What the addresses share: the engine, the queue, the limits, the key."""

from __future__ import annotations

import asyncio
import functools
import hmac
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pleura.apps.serve.answers import Told, Wish, answer_film
from pleura.apps.serve.hosts import Hosts
from pleura.apps.serve.limits import Hold, Limits, Line, Part
from pleura.apps.serve.metrics import Figures
from pleura.apps.serve.problems import KeyNeeded, Stopping, TookTooLong, log_defect
from pleura.apps.serve.uploads import Upload
from pleura.core.errors import PleuraError
from pleura.runtime.batching import SharedEngine
from pleura.runtime.engine import Engine

__all__ = ["Outcome", "Service"]

A = TypeVar("A")

CLOSE_S = 1.0
"""How long threads have to end once nobody waits for what they do."""

Outcome = Told | Exception
"""Of one film: what is told of it, or why there is nothing to tell."""


@dataclass
class Service:
    """Everything that lives as long as the server."""

    engine: Engine
    limits: Limits = field(default_factory=Limits)
    key: str | None = None
    """What a client must show; None lets everybody in."""

    hosts: Hosts = field(default_factory=Hosts)
    """Whom the service is asked as, and by whose pages."""

    workers: int = 4
    """Threads that decode, clean and encode films; as many may share a call of the network."""

    def __post_init__(self) -> None:
        self.figures = Figures()
        self.shared = SharedEngine(self.engine, most=self.workers, seen=self.figures.batch.observe)
        self.line = Line(
            self.limits.queue_films, workers=self.workers, longest_s=self.limits.answer_s
        )
        self._given_up = asyncio.Event()
        self.hold = Hold(self.limits.held_bytes)
        self.figures.watch(self.line, self.hold)

    def check_key(self, authorization: str, x_api_key: str) -> None:
        """Compare a client's key in constant time.

        Raises:
            KeyNeeded: it is missing or wrong.
        """
        if self.key is None:
            return
        scheme, _, token = authorization.partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else x_api_key
        if not hmac.compare_digest(shown.encode(), self.key.encode()):
            raise KeyNeeded("this service needs its API key: send 'Authorization: Bearer KEY'")

    def status(self) -> Literal["ready", "full", "stuck"]:
        """Whether a film would be taken, and answered in time.

        It would not be if the queue is full, or if a worker is stuck in a film or the network's
        thread has died.
        """
        if self.line.stuck or not self.shared.is_alive:
            return "stuck"
        return "full" if self.line.is_full else "ready"

    async def unless_given_up(self, work: Coroutine[Any, Any, A]) -> A:
        """What `work` gives.

        Raises:
            Stopping: the service ends before that.
        """
        task, end = asyncio.create_task(work), asyncio.create_task(self._given_up.wait())
        try:
            with suppress(asyncio.CancelledError):  # by the server, which ends at once then
                await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self.give_up()
            raise Stopping("the service ends, and the films could not be finished; send them again")
        finally:
            task.cancel()
            end.cancel()

    async def segment(
        self, uploads: Sequence[Upload], wish: Wish, part: Part | None = None
    ) -> list[Outcome]:
        """Segment films; a failed one is its error, and takes no other with it.

        `part` is shared with each film that is worked on, as long as it is.

        Raises:
            Busy: not enough room in the queue; nothing was begun.
            TookTooLong: no answer within the limit.
        """
        start = time.perf_counter()
        jobs = [functools.partial(self._film, each, wish) for each in uploads]
        part = self.hold.part() if part is None else part
        with part.shared(len(jobs)) as leave:
            futures = self.line.submit(jobs, ended=leave)
        waiting = asyncio.gather(*futures, return_exceptions=True)
        try:
            async with asyncio.timeout(self.limits.answer_s):
                outcomes = await waiting
        except TimeoutError:
            raise TookTooLong(
                f"no answer within {self.limits.answer_s:g} s; send fewer or smaller films"
            ) from None
        self.figures.seconds.observe(time.perf_counter() - start)
        return [self._counted(each) for each in outcomes]

    @property
    def is_given_up(self) -> bool:
        """Whether the time to finish what was accepted is over."""
        return self._given_up.is_set()

    def give_up(self) -> None:
        """Answer everybody who still waits that the service ends. For the event loop's thread."""
        self._given_up.set()

    def close(self) -> bool:
        """End the threads; False if one is stuck, and goes on as long as this process."""
        return self.line.close(CLOSE_S) and self.shared.close(CLOSE_S)

    def _film(self, upload: Upload, wish: Wish) -> Told:
        return answer_film(
            upload.content,
            self.shared,
            wish,
            name=upload.name,
            most_pixels=self.limits.film_pixels,
        )

    def _counted(self, outcome: Told | BaseException) -> Outcome:
        if not isinstance(outcome, BaseException):
            self.figures.films.labels("done").inc()
            self.figures.verdicts.labels(outcome.quality.verdict).inc()
            return outcome
        if not isinstance(outcome, Exception):
            raise outcome
        at_fault = isinstance(outcome, PleuraError)
        self.figures.films.labels("failed" if at_fault else "error").inc()
        if not at_fault:
            log_defect(outcome)
        return outcome
