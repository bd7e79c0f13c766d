"""Checking whether many files of a folder tree exist, by listing each folder once."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["FolderListings"]


class FolderListings:
    """The files below a folder: `"sub/a.png" in FolderListings(top)`.

    The listing of the folder that was asked last is kept: ask in the order of folders. One listing
    costs far less than looking at each of its files, above all on a network file system.
    """

    def __init__(self, top: str) -> None:
        self._top = os.path.join(top, "")  # noqa: PTH118
        self._folder: str | None = None
        self._files: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        """Whether a file has this path below the top, with `/` between folders."""
        folder, _, file = name.rpartition("/")
        if folder != self._folder:
            self._folder, self._files = folder, _files_in(self._top + folder)
        # A file system that encodes accents in its own way lists another name than it opens.
        return file in self._files or os.path.isfile(self._top + name)  # noqa: PTH113


def _files_in(folder: str) -> frozenset[str]:
    """The names of the regular files in a folder; none if it cannot be listed."""
    with suppress(OSError), os.scandir(folder) as entries:
        return frozenset(entry.name for entry in entries if entry.is_file())
    return frozenset()
