"""What the addresses share: the engine, the queue, the limits, the key."""

from __future__ import annotations

import asyncio
import functools
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pleura.apps.serve.bodies import Upload
from pleura.apps.serve.figures import Figures
from pleura.apps.serve.films import Told, Wish, answer_film
from pleura.apps.serve.hold import Hold
from pleura.apps.serve.limits import Limits
from pleura.apps.serve.line import Line
from pleura.apps.serve.problems import log_defect
from pleura.apps.serve.refusals import KeyNeeded, TookTooLong
from pleura.core.errors import PleuraError
from pleura.runtime.engine import Engine
from pleura.runtime.shared import SharedEngine

__all__ = ["Outcome", "Service"]

Outcome = Told | Exception
"""Of one film: what is told of it, or why there is nothing to tell."""


@dataclass
class Service:
    """Everything that lives as long as the server."""

    engine: Engine
    limits: Limits = field(default_factory=Limits)
    key: str | None = None
    """What a client must show; None lets everybody in."""

    workers: int = 4
    """Threads that decode, clean and encode films; as many may share a call of the network."""

    def __post_init__(self) -> None:
        self.figures = Figures()
        self.shared = SharedEngine(self.engine, most=self.workers, seen=self.figures.batch.observe)
        self.line = Line(self.limits.queue_films, workers=self.workers)
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

    async def segment(self, uploads: Sequence[Upload], wish: Wish) -> list[Outcome]:
        """Segment films; a failed one is its error, and takes no other with it.

        Raises:
            Busy: not enough room in the queue; nothing was begun.
            TookTooLong: no answer within the limit.
        """
        start = time.perf_counter()
        jobs = [functools.partial(self._film, each, wish) for each in uploads]
        waiting = asyncio.gather(*self.line.submit(jobs), return_exceptions=True)
        try:
            async with asyncio.timeout(self.limits.answer_s):
                outcomes = await waiting
        except TimeoutError:
            raise TookTooLong(
                f"no answer within {self.limits.answer_s:g} s; send fewer or smaller films"
            ) from None
        self.figures.seconds.observe(time.perf_counter() - start)
        return [self._counted(each) for each in outcomes]

    def close(self) -> None:
        """Finish what was accepted."""
        self.line.close()
        self.shared.close()

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
