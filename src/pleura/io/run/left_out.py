"""Counting and naming the files that a search for films left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pleura.io.run.cells import printable

__all__ = ["LeftOut", "Tally"]

KEPT = 100
"""The most paths of one kind that are kept for the report; further ones are only counted."""

SHOWN = 5
"""The most paths of one kind that are printed."""

_LONGEST = 160
"""The most characters of a path that are printed; a longer one is cut in its middle."""


@dataclass(slots=True)
class Tally:
    """The number of paths of one kind, and the first ones."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, *paths: str) -> None:
        """Count paths or URLs."""
        self.count += len(paths)
        self.first += paths[: max(0, KEPT - len(self.first))]

    def shown(self) -> str:
        """The first paths as text for a message."""
        more = ", ..." if self.count > SHOWN else ""
        return ", ".join(shortened(path) for path in self.first[:SHOWN]) + more


@dataclass(slots=True)
class LeftOut:
    """Files and folders that a search left out, by kind."""

    hidden: Tally = field(default_factory=Tally)
    """Files and folders whose names begin with a dot, and system folders."""

    other: Tally = field(default_factory=Tally)
    """Files that are not films by their names."""

    results: Tally = field(default_factory=Tally)
    """Results of earlier runs: masks, crops, tables."""

    special: Tally = field(default_factory=Tally)
    """Pipes, sockets and devices."""

    unreadable: dict[str, str] = field(default_factory=dict)
    """Folders and files that could not be read: path -> reason."""

    def cannot_read(self, path: str, reason: str) -> None:
        """Note a folder or file that could not be read."""
        self.unreadable[path] = reason

    def lines(self) -> Iterator[str]:
        """A line for each kind except unreadable files."""
        for tally, one, many in (
            (self.hidden, "hidden file or folder", "hidden files or folders"),
            (self.other, "file of another kind", "files of other kinds"),
            (self.results, "result of an earlier run", "results of earlier runs"),
            (self.special, "pipe or device", "pipes or devices"),
        ):
            if tally.count:
                kind = one if tally.count == 1 else many
                yield f"left out {tally.count} {kind}: {tally.shown()}"

    def complaints(self) -> Iterator[str]:
        """A line for each folder or file that could not be read."""
        for path, reason in self.unreadable.items():
            yield f"could not read {shortened(path)}: {reason}"

    def as_json(self) -> dict[str, Any]:
        """Counts by kind, and the first paths of each."""
        tallies = {
            "hidden": self.hidden,
            "other": self.other,
            "results": self.results,
            "special": self.special,
        }
        return {
            name: {"count": tally.count, "first": tally.first} for name, tally in tallies.items()
        }


def shortened(path: str) -> str:
    """A path for messages: on one line, and of limited length."""
    half = _LONGEST // 2
    text = printable(path)
    return text if len(text) <= _LONGEST else f"{text[:half]}...{text[-half:]}"
