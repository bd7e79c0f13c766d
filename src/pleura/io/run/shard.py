"""Shards of a run: parts of the films that are segmented apart, on one machine or on many.

The name of a film's results decides which shard has the film. So every shard finds its own films
in the same list, and no two shards share one. Each shard keeps its table and its report in a folder
of its own, `OUT/shards/03-of-16`; the masks of all shards lie in OUT.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pleura.core.errors import UsageError

__all__ = ["SHARDS", "Shard", "films_digest", "shards_in"]

SHARDS = "shards"
"""The name of the folder with the tables and reports of shards, in the output folder."""

_FOLDER = re.compile(r"(\d+)-of-(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Part `number` of `count` parts; the first one is 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that a text such as `3/16` names.

        Raises:
            UsageError: it names none.
        """
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        shard = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= shard.number <= shard.count:
            raise UsageError(
                f"--shard {text!r} is no shard: give its number and the number of all shards, "
                "from 1/16 to 16/16 for 16 shards"
            )
        return shard

    def __str__(self) -> str:
        """As on the command line, such as `3/16`."""
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> Path:
        """The folder of its table and report, relative to the output folder."""
        return Path(SHARDS) / f"{self.number:0{len(str(self.count))}}-of-{self.count}"

    def has(self, name: str) -> bool:
        """Whether the film whose results have this name belongs to this shard.

        The first 8 bytes of the name's SHA-256, a big-endian number, modulo `count` are
        `number` - 1.
        """
        digest = hashlib.sha256(os.fsencode(name)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.number - 1


def shards_in(out: Path) -> list[Shard]:
    """The shards that have a folder in the output folder, in order."""
    folder = out / SHARDS
    names = (path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
    matches = (_FOLDER.fullmatch(name) for name in names)
    shards = (Shard(int(match[1]), int(match[2])) for match in matches if match)
    return sorted(shard for shard in shards if (out / shard.folder).is_dir())


def films_digest(names: Iterable[str]) -> str:
    """The SHA-256 of the names of the results of all films of a run, in hexadecimal."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(os.fsencode(name) + b"\n")
    return digest.hexdigest()
