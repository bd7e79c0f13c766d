"""Walking a tree of folders of any depth, with every error reported."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

__all__ = ["walk"]


def walk(
    top: str,
    *,
    follow: bool = False,
    on_error: Callable[[str, OSError], None] = lambda _place, _error: None,
) -> Iterator[tuple[str, list[str], list[str]]]:
    """(folder, names of folders in it, names of all else), from `top` down, names sorted.

    As `os.walk`, which calls itself once a level and so ends at a thousand of them. The caller may
    take names out of the folders' list; these are not entered then. Linked folders are entered only
    with `follow`, and each place once. A folder that cannot be read goes to `on_error`.
    """
    waiting, seen = [top], set()
    while waiting:
        place = waiting.pop()
        try:
            facts = os.stat(place)  # noqa: PTH116
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            with os.scandir(place) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            on_error(place, error)
            continue
        folders = [entry.name for entry in listed if _is_folder(entry, follow=follow)]
        kept = set(folders)
        yield place, folders, [entry.name for entry in listed if entry.name not in kept]
        waiting += [os.path.join(place, name) for name in reversed(folders)]  # noqa: PTH118


def _is_folder(entry: os.DirEntry[str], *, follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError:  # a link that leads round in a circle, or through a closed folder
        return False
