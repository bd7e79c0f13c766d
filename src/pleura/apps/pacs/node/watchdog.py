"""The time limit for one film, which may hang in the network or on the disk."""

from __future__ import annotations

import faulthandler
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["FILM_S", "Watchdog"]

FILM_S = 600.0
"""The default limit, seconds. The largest film that is read takes about 30 on two slow cores."""

LOCKED_S = 60.0
"""How much later the process is ended, seconds, if native code holds Python's lock.

Then no thread of Python can give the film up. A supervisor restarts the node, and each such attempt
counts.
"""


class Watchdog:
    """Measures the time that the current film has taken.

    One thread segments, and another one asks for the time.
    """

    def __init__(self, limit_s: float = FILM_S) -> None:
        self.limit_s = limit_s
        self._film: tuple[int, float] | None = None

    @contextmanager
    def watching(self, number: int) -> Iterator[None]:
        """Watch the film of this number inside the block."""
        self._film = number, time.monotonic()
        with suppress(AttributeError, ValueError, OSError):  # a stderr without a descriptor
            faulthandler.dump_traceback_later(self.limit_s + LOCKED_S, exit=True, file=sys.stderr)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            self._film = None

    def overdue(self) -> int | None:
        """The number of the film that has taken longer than the limit, or None."""
        film = self._film
        if film is None or time.monotonic() - film[1] < self.limit_s:
            return None
        return film[0]
