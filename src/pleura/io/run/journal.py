"""The films that a run is reading now, kept on the disk for the run after it.

Where reading a film ends the whole process, the next run learns from this file which films were
being read. It reads these in a decoder process, so that the film fails alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pleura.io.files.atomic import OWN

__all__ = ["JOURNAL", "Journal"]

JOURNAL = f"{OWN}reading"
"""The journal's name in the output folder; it is removed when a run ends and no film is read."""

_SLOT = 8192  # bytes for one film's name, padded with zeros; no path is longer


class Journal:
    """The journal of one run; used as a context manager. Threads may share it.

    A name is in the file before the film is opened, and gone when it is read. It is not flushed to
    the disk: it has to outlive the process, not a loss of power.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / JOURNAL
        self._lock = threading.Lock()
        self._free: list[int] = []
        self._slots = 0
        self.unfinished = self._left_behind()
        """Names of the films that were being read when an earlier run was ended."""

    def __enter__(self) -> Journal:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()
            if len(self._free) == self._slots:  # else a film is being read still, without end
                with contextlib.suppress(OSError):
                    self._path.unlink()

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Hold `name`, a film's name that is unique in the run, while the block reads it."""
        with self._lock:
            if not self._free:
                self._free.append(self._slots)
                self._slots += 1
            slot = self._free.pop()
            self._write(slot, name)
        try:
            yield
        finally:
            with self._lock:
                self._write(slot, "")
                self._free.append(slot)

    def _write(self, slot: int, name: str) -> None:
        if self._file.closed:  # the run has ended without this film
            return
        self._file.seek(slot * _SLOT)
        self._file.write(name.encode(errors="surrogateescape")[:_SLOT].ljust(_SLOT, b"\0"))

    def _left_behind(self) -> frozenset[str]:
        try:
            content = self._path.read_bytes()
        except OSError:
            return frozenset()
        slots = (content[at : at + _SLOT] for at in range(0, len(content), _SLOT))
        names = (slot.strip(b"\0").decode(errors="surrogateescape") for slot in slots)
        return frozenset(name for name in names if name)
