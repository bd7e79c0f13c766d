"""Keeping the log records of libraries, while they work for Pleura, from the host program.

These records quote a film's header, patient included, and a host would print them in its own log.
Records of the host's own calls of the same libraries pass, before, after and on other threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LIBRARIES", "library_logs_apart"]

LIBRARIES = ("pydicom", "highdicom", "PIL", "nibabel", "jpeg_ls", "imagecodecs")


class _Gate(logging.Handler):
    """A handler on a library's logger, which passes the host's own records on."""

    def __init__(self, logger: logging.Logger) -> None:
        """Make the handler; `open` installs it."""
        super().__init__()
        self._logger, self._propagate = logger, logger.propagate

    def open(self) -> None:
        """Install the handler."""
        self._propagate = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def shut(self) -> None:
        """Remove the handler, and restore the logger."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass the record on unless this thread is in a block."""
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
"""How many threads are in blocks; the first installs the handlers, the last removes them."""


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
