"""The node's folder: its files and its lock.

FOLDER/             0700, every file 0600
  queue.sqlite      each film and each delivery; no patient data
  lock.sqlite       locked by the running node
  films/            films as received, until their results are delivered
  results/NUMBER/   DICOM results of a film, until they are delivered
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pleura.core.errors import UsageError
from pleura.io.files.atomic import atomic_write, cannot_write, flush_folder

__all__ = ["NodeFolder"]

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
        """Make the folders that are missing; only the owner can read them.

        Raises:
            OutputError: it cannot be made.
        """
        try:
            for folder in (self.root, self.films, self.results):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise cannot_write(self.root, error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder for this node inside the block; the lock also ends with the process.

        Raises:
            UsageError: a node runs here already.
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

    def write_film(self, name: str, content: bytes) -> None:
        """Write a film so that it survives a loss of power.

        Raises:
            OutputError: the film cannot be written.
        """
        with atomic_write(self.films / name) as file:
            file.write(content)
        flush_folder(self.films)

    def delete_film(self, name: str | None) -> None:
        """Delete a film's file."""
        if name:
            (self.films / name).unlink(missing_ok=True)

    def write_results(self, number: int, files: Mapping[str, bytes]) -> None:
        """Write a film's results (name -> content): all of them, or none.

        Raises:
            OutputError: the film cannot be written.
        """
        part, complete = self.results / f"{number}.part", self.results / str(number)
        try:
            for folder in (part, complete):  # of a node that was killed
                shutil.rmtree(folder, ignore_errors=True)
            part.mkdir(mode=0o700)
            for name, content in files.items():
                with atomic_write(part / name) as file:
                    file.write(content)
            flush_folder(part)
            part.rename(complete)
            flush_folder(self.results)
        except OSError as error:
            raise cannot_write(complete, error) from error

    def results_of(self, number: int) -> list[Path]:
        """The result files of a film, in the order of sending."""
        return sorted((self.results / str(number)).glob("*.dcm"))

    def delete_results(self, number: int) -> None:
        """Delete a film's results."""
        shutil.rmtree(self.results / str(number), ignore_errors=True)

    def remove_unfinished(self, films: set[str], numbers: set[int]) -> int:
        """Delete what a killed node left: all files but these films and these results.

        Returns the number of deleted films and results.
        """
        unknown = [file for file in self.films.iterdir() if file.name not in films]
        for file in unknown:
            file.unlink()
        kept = {str(number) for number in numbers}
        unfinished = [folder for folder in self.results.iterdir() if folder.name not in kept]
        for folder in unfinished:
            shutil.rmtree(folder, ignore_errors=True)
        return len(unknown) + len(unfinished)
