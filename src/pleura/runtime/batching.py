"""Sharing one engine among many callers: waiting squares are predicted as one batch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from pleura.runtime.engine import Engine, EngineWrapper

__all__ = ["SharedEngine"]

_Waiting = tuple[NDArray[np.float32], "Future[NDArray[np.float32]]"]


class SharedEngine(EngineWrapper):
    """A wrapper of an `Engine` for callers on many threads.

    While the engine computes, calls wait. Then the calls that wait are its next batch, up to `most`
    squares, or one call if it has more. The engine never waits for more squares.
    """

    def __init__(
        self, engine: Engine, *, most: int = 4, on_batch: Callable[[int], object] = lambda _: None
    ) -> None:
        """Share `engine`; `on_batch` is called with the size of every batch."""
        self.engine, self._most, self._on_batch = engine, most, on_batch
        self._waiting: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="pleura-engine", daemon=True)
        self._thread.start()

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 -> (N, C, S, S) float32, as the engine does; waits for the result.

        Raises:
            RuntimeError: the engine was closed.
        """
        square = (1, self.card.side, self.card.side)
        if (
            batch.shape[1:] != square
        ):  # checked here, because it would spoil the batch of other callers
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
        """Whether the thread that computes is running; without it no call returns."""
        return self._thread.is_alive()

    def close(self, wait_s: float | None = None) -> bool:
        """Compute the calls that wait, then end the thread; further calls raise `RuntimeError`.

        Returns False if the engine still computes after `wait_s` seconds.
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
                self._on_batch(sum(sizes))
                maps = self.engine.predict(np.concatenate([batch for batch, _ in group]))
                parts = np.split(maps, np.cumsum(sizes)[:-1])
            except BaseException as error:  # the callers raise it
                for _, answer in group:
                    answer.set_exception(error)
                continue
            for (_, answer), part in zip(group, parts, strict=True):
                answer.set_result(part)

    def _next(self) -> list[_Waiting]:
        """Wait for the next batch; empty once the engine is closed and no call waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            group: list[_Waiting] = []
            size = 0
            while self._waiting and (not group or size + len(self._waiting[0][0]) <= self._most):
                group.append(self._waiting.popleft())
                size += len(group[-1][0])
            return group
