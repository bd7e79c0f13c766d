"""One engine for many callers: what waits at the same time is predicted as one batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from pleura.runtime.engine import Engine, EngineInFront

__all__ = ["SharedEngine"]

_Waiting = tuple[NDArray[np.float32], "Future[NDArray[np.float32]]"]


class SharedEngine(EngineInFront):
    """An `Engine` in front of another, for callers on many threads.

    A caller waits for nobody: while the engine computes others queue up, and all that have come
    by then (`most` squares, or one caller's if that is more) are its next batch.
    """

    def __init__(
        self, engine: Engine, *, most: int = 4, seen: Callable[[int], object] = lambda _: None
    ) -> None:
        """Share `engine`; `seen` is told the size of every batch."""
        self.engine, self._most, self._seen = engine, most, seen
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="pleura-engine", daemon=True)
        self._thread.start()

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 -> (N, C, S, S) float32, as the engine; blocks until it is there.

        Raises:
            RuntimeError: the engine was closed.
        """
        square = (1, self.card.side, self.card.side)
        if batch.shape[1:] != square:  # here, or it would spoil the others' batch
            raise ValueError(f"a batch must be (N, {square}), got {batch.shape}")
        answer: Future[NDArray[np.float32]] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.append((batch, answer))
            self._changed.notify()
        return answer.result()

    @property
    def is_alive(self) -> bool:
        """Whether the thread that computes is there: without it nobody is ever answered."""
        return self._thread.is_alive()

    def close(self, wait_s: float | None = None) -> bool:
        """Answer all that wait, then end the thread; further calls raise.

        False if the engine has not come back within `wait_s` seconds.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while group := self._next():
            sizes = [len(batch) for batch, _ in group]
            try:
                self._seen(sum(sizes))
                maps = self.engine.predict(np.concatenate([batch for batch, _ in group]))
                parts = np.split(maps, np.cumsum(sizes)[:-1])
            except BaseException as error:  # it belongs to the callers
                for _, answer in group:
                    answer.set_exception(error)
                continue
            for (_, answer), part in zip(group, parts, strict=True):
                answer.set_result(part)

    def _next(self) -> list[_Waiting]:
        """Wait for work; nothing when closed and all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            group: list[_Waiting] = []
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0][0]) <= self._most):
                group.append(self._waiting.popleft())
                size += len(group[-1][0])
            return group
