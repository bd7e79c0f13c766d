"""Naming the results of films, uniquely in a run and on every file system.

A film's name is its path inside the folder, glob or list that gave it, without the suffix. If two
films have the same name, all films with that name get a longer one, until all names differ. First
the suffix is added (`a.png`, `a.jpg` -> `a_png`, `a_jpg`). If names are still equal and the folders
differ, one more folder of the path is added (`siteA/a`, `siteB/a`). At last a digest of the path is
added (`FILM.png`, `film.png`). Names that differ only in capitals or in the encoding of accents
count as equal, as on many file systems. The names depend on the set of films, not on its order. A
name from an earlier run is kept.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

__all__ = ["FILM_SUFFIXES", "NamedFilm", "split_suffix", "unique_names"]

FILM_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp"),
    *(".dcm", ".dicom", ".dic", ".nii", ".nii.gz"),
)
"""Suffixes of films in folders and globs; a file that is named itself may have any suffix."""

_LONGEST_FIRST = tuple(sorted(FILM_SUFFIXES, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class NamedFilm:
    """A film and its name so far, while unique names are made."""

    path: Path
    folders: tuple[str, ...]  # of the absolute path, outermost first
    depth: int  # how many of them, from the right, are in the name
    with_suffix: bool = False
    with_digest: bool = False
    kept: PurePath | None = None
    """The name from an earlier run; it does not change."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The name so far, by parts of its path."""
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
        """The name without case and encoding of accents, by which equal names are found."""
        return _key(self.parts)


def unique_names(films: Iterable[NamedFilm]) -> list[NamedFilm]:
    """Make all names unique, in rounds; names from earlier runs stay.

    First all films are named as if there were no earlier run, then the films of an earlier run get
    their old names. So the names do not depend on how far a killed run came.
    """
    given = sorted(films, key=lambda film: film.path.parts)
    named = _in_rounds([replace(film, kept=None) for film in given])
    if all(film.kept is None for film in given):
        return named
    kept = [replace(new, kept=old.kept) for new, old in zip(named, given, strict=True)]
    return _in_rounds(kept)


def _in_rounds(films: list[NamedFilm]) -> list[NamedFilm]:
    while True:
        sharing: dict[str, list[NamedFilm]] = {}
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
    """Split 'a.nii.gz' into ('a', '.nii.gz'); a suffix that is not a film's stays in the stem."""
    lower = name.lower()
    for suffix in _LONGEST_FIRST:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""


def _next_names(group: list[NamedFilm]) -> list[NamedFilm]:
    """Longer names for films with the same name."""
    free = [film for film in group if film.kept is None]
    suffixes = Counter(split_suffix(film.path.name)[1].casefold() for film in group)
    if max(suffixes.values()) == 1 and not all(film.with_suffix for film in free):
        return [replace(film, with_suffix=True) for film in free]
    folders_differ = len({_key(film.folders) for film in group}) > 1
    if folders_differ and any(film.depth < len(film.folders) for film in free):
        return [replace(film, depth=min(film.depth + 1, len(film.folders))) for film in free]
    if not all(film.with_suffix for film in free):
        return [replace(film, with_suffix=True) for film in free]
    return [replace(film, with_digest=True) for film in free if not film.with_digest]


def _key(parts: Iterable[str]) -> str:
    return unicodedata.normalize("NFC", "/".join(parts).casefold())
