"""The space that the films and results of a node may use on the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["DiskSpace"]


class DiskSpace:
    """The space that films and results may use on the disk."""

    def __init__(self, root: Path, *, keep_free: int, quota: int | None = None) -> None:
        """Keep `keep_free` bytes of the disk free; the folder may have `quota` bytes."""
        self.root, self.keep_free, self.quota = root, keep_free, quota

    def has_room_for_film(self, size: int) -> bool:
        """Whether a film of `size` bytes may be stored."""
        if shutil.disk_usage(self.root).free - size < self.keep_free:
            return False
        return self.quota is None or self.used() + size <= self.quota

    def has_room_for_results(self, size: int) -> bool:
        """Whether `size` bytes of results may be written. They may use half of `keep_free`.

        Otherwise a disk full of waiting films would never have room for their results, and the
        films could never be deleted. The other half is for the queue.
        """
        return shutil.disk_usage(self.root).free - size >= self.keep_free // 2

    def used(self) -> int:
        """The bytes of all files in the folder; files deleted during the count are skipped."""
        total = 0
        for path in self.root.rglob("*"):
            try:
                total += path.stat().st_size if path.is_file() else 0
            except FileNotFoundError:
                continue
        return total
