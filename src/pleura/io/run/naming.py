"""Naming the results of films: unique in a run, on every file system.

A film's name is its place inside the folder, glob or list it was found by, without the suffix.
Where two films would share a name, all that share it change, until none do: first the suffix joins
the name (`a.png`, `a.jpg` -> `a_png`, `a_jpg`); where that does not tell them apart, one more
folder of the path (`siteA/a`, `siteB/a`), as long as their folders differ; and where nothing else
is left, a digest of the path (`FILM.png`, `film.png`). Names that differ only in capitals or in the
way accents are encoded count as shared, as many file systems take them for one. The names depend on
the set of films alone, not on the order they are given in; a name that an earlier run gave is kept.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

__all__ = ["FILM_SUFFIXES", "Named", "split_suffix", "told_apart"]

FILM_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp"),
    *(".dcm", ".dicom", ".dic", ".nii", ".nii.gz"),
)
"""Suffixes of films inside folders and globs; a file that is named itself may have any."""

_LONGEST_FIRST = tuple(sorted(FILM_SUFFIXES, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class Named:
    """A film on the way to a unique name."""

    path: Path
    folders: tuple[str, ...]  # of the absolute path, outermost first
    depth: int  # how many of them, from the right, are in the name
    with_suffix: bool = False
    with_digest: bool = False
    kept: PurePath | None = None
    """The name an earlier run gave it; it does not change."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The name as it stands."""
        if self.kept is not None:
            return self.kept.parts
        stem, suffix = split_suffix(self.path.name)
        if self.with_suffix and suffix:
            stem = f"{stem}_{suffix.lstrip('.').replace('.', '_')}"
        if self.with_digest:
            stem = f"{stem}_{hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]}"
        return *self.folders[len(self.folders) - self.depth :], stem

    @property
    def key(self) -> str:
        """What a file system that ignores case and accents' encoding makes of the name."""
        return _key(self.parts)


def told_apart(films: Iterable[Named]) -> list[Named]:
    """Change all names that clash, in rounds, until none do; those of earlier runs stay.

    All films are named as if there had been no earlier run, and only then do those of earlier runs
    get their old names: how far a run came that was killed changes no name.
    """
    given = sorted(films, key=lambda film: film.path)
    named = _in_rounds([replace(film, kept=None) for film in given])
    if all(film.kept is None for film in given):
        return named
    kept = [replace(new, kept=old.kept) for new, old in zip(named, given, strict=True)]
    return _in_rounds(kept)


def _in_rounds(films: list[Named]) -> list[Named]:
    while True:
        sharing: dict[str, list[Named]] = {}
        for film in films:
            sharing.setdefault(film.key, []).append(film)
        changed = {
            film.path: film
            for group in sharing.values()
            if len(group) > 1
            for film in _next_names(group)
        }
        if not changed:
            return films
        films = [changed.get(film.path, film) for film in films]


def split_suffix(name: str) -> tuple[str, str]:
    """('a', '.nii.gz'); a suffix that marks no film, as the end of a UID, stays in the stem."""
    lower = name.lower()
    for suffix in _LONGEST_FIRST:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""


def _next_names(group: list[Named]) -> list[Named]:
    """The next name of films that share one; each round adds to it, so that the rounds end."""
    free = [film for film in group if film.kept is None]
    suffixes = Counter(split_suffix(film.path.name)[1].casefold() for film in group)
    if max(suffixes.values()) == 1 and not all(film.with_suffix for film in free):
        return [replace(film, with_suffix=True) for film in free]
    apart = len({_key(film.folders) for film in group}) > 1
    if apart and any(film.depth < len(film.folders) for film in free):
        return [replace(film, depth=min(film.depth + 1, len(film.folders))) for film in free]
    if not all(film.with_suffix for film in free):
        return [replace(film, with_suffix=True) for film in free]
    return [replace(film, with_digest=True) for film in free if not film.with_digest]


def _key(parts: Iterable[str]) -> str:
    return unicodedata.normalize("NFC", "/".join(parts).casefold())
