"""A file with the names of the films that a run is reading now, for the next run.

If a film crashes the process, the next run finds in this file which films were being read. It reads
them in a decoder process, so that only the damaged film fails.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pleura.io.files.atomic import OWN_PREFIX

__all__ = ["JOURNAL", "Journal"]

JOURNAL = f"{OWN_PREFIX}reading"
"""The journal's name in the output folder; it is removed when a run ends normally."""

_SLOT = 8192  # bytes for one film's name, padded with zeros; no path is longer


class Journal:
    """The journal of one run; used as a context manager. Threads may share it.

    A name is written before the film is opened, and removed when it has been read. It is not
    flushed to the disk: it must survive the end of the process, not a loss of power.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / JOURNAL
        self._lock = threading.Lock()
        self._free: list[int] = []
        self._slots = 0
        self.unfinished = self._names_in_file()
        """Names of the films that were being read when an earlier run was killed."""

    def __enter__(self) -> Journal:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()
            if len(self._free) == self._slots:  # otherwise a film is still being read
                with contextlib.suppress(OSError):
                    self._path.unlink()

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Keep `name`, a film's unique name, in the journal while the block reads the film."""
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
        if self._file.closed:  # the run has ended before this film was read
            return
        self._file.seek(slot * _SLOT)
        self._file.write(name.encode(errors="surrogateescape")[:_SLOT].ljust(_SLOT, b"\0"))

    def _names_in_file(self) -> frozenset[str]:
        try:
            content = self._path.read_bytes()
        except OSError:
            return frozenset()
        slots = (content[at : at + _SLOT] for at in range(0, len(content), _SLOT))
        names = (slot.strip(b"\0").decode(errors="surrogateescape") for slot in slots)
        return frozenset(name for name in names if name)
