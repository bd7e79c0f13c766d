"""What the libraries log while they work for Pleura does not reach the host program.

Their records quote what a film says of its patient, and a host that logs would print them as its
own. What the host itself does with the same libraries, before, after or on other threads, is heard
as ever.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LIBRARIES", "library_logs_apart"]

LIBRARIES = ("pydicom", "highdicom", "PIL", "nibabel", "jpeg_ls", "imagecodecs")


class _Gate(logging.Handler):
    """Takes the place of a library's way to the handlers above it, where it lets the host pass."""

    def __init__(self, logger: logging.Logger) -> None:
        """Not yet in place."""
        super().__init__()
        self._logger, self._propagate = logger, logger.propagate

    def open(self) -> None:
        """Take the place."""
        self._propagate = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def shut(self) -> None:
        """Leave it as it was."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass on what another thread said, for itself."""
        if not _own.depth and self._propagate and self._logger.parent is not None:
            self._logger.parent.callHandlers(record)
        return True


class _Own(threading.local):
    depth = 0
    """How many blocks this thread is in."""


_own = _Own()
_lock = threading.Lock()
_gates = [_Gate(logging.getLogger(name)) for name in LIBRARIES]
_threads = 0
"""How many threads are in blocks; the first puts the gates up, the last takes them away."""


@contextmanager
def library_logs_apart() -> Iterator[None]:
    """Keep the records that this thread's libraries log in the block from the host's handlers."""
    _own.depth += 1
    if _own.depth == 1:
        _enter(+1)
    try:
        yield
    finally:
        _own.depth -= 1
        if not _own.depth:
            _enter(-1)


def _enter(by: int) -> None:
    global _threads
    with _lock:
        before, _threads = _threads, _threads + by
        for gate in _gates:
            if not before:
                gate.open()
            elif not _threads:
                gate.shut()
