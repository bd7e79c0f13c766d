"""Walking a folder tree of any depth; every error is reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from operator import attrgetter

__all__ = ["scan", "walk"]


def walk(
    top: str,
    *,
    follow: bool = False,
    on_error: Callable[[str, OSError], None] = lambda _place, _error: None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (folder, names of its folders, names of its other entries) from `top` down, sorted.

    It works as `os.walk`, which recurses and so fails below a thousand levels. The caller may
    remove names from the list of folders; these folders are not entered. Linked folders are entered
    only with `follow`, and each folder once. A folder that cannot be read is given to `on_error`.
    """
    for place, folders, files in scan(top, follow=follow, on_error=on_error):
        yield place, folders, list(files)


def scan(
    top: str,
    *,
    follow: bool = False,
    on_error: Callable[[str, OSError], None] = lambda _place, _error: None,
) -> Iterator[tuple[str, list[str], dict[str, bool]]]:
    """As `walk`, with a dict of the other entries: whether each is a regular file, and no link.

    A folder's listing has this, so that no file is looked at.
    """
    waiting, seen = [top], set()
    while waiting:
        place = waiting.pop()
        try:
            status = os.stat(place)  # noqa: PTH116
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                listed = sorted(entries, key=_NAME)
        except OSError as error:
            on_error(place, error)
            continue
        files = {entry.name: True for entry in listed if _is_file(entry)}
        others = [entry for entry in listed if entry.name not in files]
        folders = [entry.name for entry in others if _is_folder(entry, follow=follow)]
        if len(folders) < len(others):
            kept = set(folders)
            files = {entry.name: entry.name in files for entry in listed if entry.name not in kept}
        yield place, folders, files
        waiting += [os.path.join(place, name) for name in reversed(folders)]  # noqa: PTH118


_NAME = attrgetter("name")


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:  # a link to itself, or through a folder without permission
        return False
