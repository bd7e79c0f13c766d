"""The bytes of all uploads together, bounded: many clients cannot fill the memory between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pleura.apps.serve.refusals import Busy

__all__ = ["Hold", "Take"]

Take = Callable[[int], None]
"""Told of so many more bytes before they are kept; raises `Busy` where there is no room."""

RETRY_S = 2


class Hold:
    """Counts the bytes that requests hold. For one thread: that of the event loop."""

    def __init__(self, most: int) -> None:
        """Begin with none."""
        self.most, self.bytes = most, 0

    @contextmanager
    def part(self) -> Iterator[Take]:
        """One request's part, given back at the end of the block."""
        mine = 0

        def take(size: int) -> None:
            nonlocal mine
            if self.bytes + size > self.most:
                raise Busy(
                    f"the requests under way hold {self.most / 1e6:g} MB, the most that is kept "
                    "in memory; send the films again later, or fewer at a time",
                    retry_after_s=RETRY_S,
                )
            mine += size
            self.bytes += size

        try:
            yield take
        finally:
            self.bytes -= mine
