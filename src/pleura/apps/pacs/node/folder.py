"""The node's folder: what lies where, who may read it, one node at a time, and room on its disk.

FOLDER/             0700, every file 0600
  queue.sqlite      what is known of each film and each delivery; no identity
  lock.sqlite       held by the node that runs
  films/            films as they came, until their results are delivered
  results/NUMBER/   DICOM results of a film, until they are delivered
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pleura.core.errors import UsageError
from pleura.io.atomic import cannot_write, settle, written_whole

__all__ = ["NodeFolder", "Space"]

_LOCK_S = 2.0  # `pleura node status` holds the lock for an instant


class NodeFolder:
    """The folder of one node."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.queue = root / "queue.sqlite"
        self.films = root / "films"
        self.results = root / "results"
        self._lock = root / "lock.sqlite"

    def make(self) -> None:
        """Make what is not there yet, closed to all but its owner.

        Raises:
            OutputError: it cannot be made.
        """
        try:
            for each in (self.root, self.films, self.results):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
                each.chmod(0o700)
        except OSError as error:
            raise cannot_write(self.root, error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else may run a node here meanwhile; the hold ends with the process.

        Raises:
            UsageError: a node is running here.
        """
        lock = sqlite3.connect(self._lock, timeout=_LOCK_S, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            raise UsageError(
                f"a node is running in {self.root} already; stop it, or give another --folder"
            ) from error
        try:
            yield
        finally:
            lock.close()

    def is_held(self) -> bool:
        """Whether a node is running here."""
        if not self._lock.exists():
            return False
        lock = sqlite3.connect(self._lock, timeout=0.0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        finally:
            lock.close()
        return False

    def keep_film(self, name: str, content: bytes) -> None:
        """Write a film so that it is there after a loss of power.

        Raises:
            OutputError: the disk takes no more.
        """
        with written_whole(self.films / name) as file:
            file.write(content)
        settle(self.films)

    def drop_film(self, name: str | None) -> None:
        """Delete a film's pixels."""
        if name:
            (self.films / name).unlink(missing_ok=True)

    def keep_results(self, number: int, files: Mapping[str, bytes]) -> None:
        """Write a film's results, name -> content: all of them, or none.

        Raises:
            OutputError: the disk takes no more.
        """
        part, whole = self.results / f"{number}.part", self.results / str(number)
        try:
            for left in (part, whole):  # by a node that was killed here
                shutil.rmtree(left, ignore_errors=True)
            part.mkdir(mode=0o700)
            for name, content in files.items():
                with written_whole(part / name) as file:
                    file.write(content)
            settle(part)
            part.rename(whole)
            settle(self.results)
        except OSError as error:
            raise cannot_write(whole, error) from error

    def results_of(self, number: int) -> list[Path]:
        """The files to deliver for a film, in order."""
        return sorted((self.results / str(number)).glob("*.dcm"))

    def drop_results(self, number: int) -> None:
        """Delete a film's results."""
        shutil.rmtree(self.results / str(number), ignore_errors=True)

    def tidy(self, films: set[str], numbers: set[int]) -> int:
        """Delete what a killed node left: all but these films and these films' results.

        Returns how many were deleted.
        """
        strays = [each for each in self.films.iterdir() if each.name not in films]
        for each in strays:
            each.unlink()
        kept = {str(number) for number in numbers}
        unfinished = [each for each in self.results.iterdir() if each.name not in kept]
        for each in unfinished:
            shutil.rmtree(each, ignore_errors=True)
        return len(strays) + len(unfinished)


class Space:
    """Whether a film of some size may still be taken."""

    def __init__(self, root: Path, *, keep_free: int, quota: int | None = None) -> None:
        """Leave `keep_free` bytes of the disk free; let the folder grow to `quota` bytes."""
        self.root, self.keep_free, self.quota = root, keep_free, quota

    def takes(self, size: int) -> bool:
        """Whether a film of `size` bytes may come."""
        if shutil.disk_usage(self.root).free - size < self.keep_free:
            return False
        return self.quota is None or self.used() + size <= self.quota

    def takes_results(self, size: int) -> bool:
        """Whether `size` bytes of results may be written: into the first half of what is kept free.

        Otherwise films that wait for results would hold the disk for ever; the other half is the
        queue's.
        """
        return shutil.disk_usage(self.root).free - size >= self.keep_free // 2

    def used(self) -> int:
        """Bytes of all files in the folder; those that vanish meanwhile are left out."""
        total = 0
        for each in self.root.rglob("*"):
            try:
                total += each.stat().st_size if each.is_file() else 0
            except FileNotFoundError:
                continue
        return total
