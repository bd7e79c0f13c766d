"""Keeping log records of libraries out of the host program's log while they work for Pleura.

These records can quote a film's header and so name the patient. Records of the host's own calls of
the same libraries are passed on: those before and after, and those of other threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LIBRARIES", "without_library_logs"]

LIBRARIES = ("pydicom", "highdicom", "PIL", "nibabel", "jpeg_ls", "imagecodecs")


class _Filter(logging.Handler):
    """A handler on a library's logger that passes on the host's own records only."""

    def __init__(self, logger: logging.Logger) -> None:
        """Make the handler; `install` installs it."""
        super().__init__()
        self._logger, self._propagate = logger, logger.propagate

    def install(self) -> None:
        """Install the handler."""
        self._propagate = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def uninstall(self) -> None:
        """Remove the handler and restore the logger."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass the record on unless this thread is in a block."""
        if not _this_thread.depth and self._propagate and self._logger.parent is not None:
            self._logger.parent.callHandlers(record)
        return True


class _ThreadState(threading.local):
    depth = 0
    """How many blocks this thread is in."""


_this_thread = _ThreadState()
_lock = threading.Lock()
_filters = [_Filter(logging.getLogger(name)) for name in LIBRARIES]
_threads = 0
"""How many threads are in blocks; the first installs the handlers, the last removes them."""


@contextmanager
def without_library_logs() -> Iterator[None]:
    """Drop the records that libraries log on this thread while the block runs."""
    _this_thread.depth += 1
    if _this_thread.depth == 1:
        _enter(+1)
    try:
        yield
    finally:
        _this_thread.depth -= 1
        if not _this_thread.depth:
            _enter(-1)


def _enter(by: int) -> None:
    global _threads
    with _lock:
        before, _threads = _threads, _threads + by
        for handler in _filters:
            if not before:
                handler.install()
            elif not _threads:
                handler.uninstall()
