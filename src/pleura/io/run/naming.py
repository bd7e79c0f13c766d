"""Naming the results of films, uniquely in a run and on every file system.

A film's name is its path inside the folder, glob or list that gave it, without the suffix. If two
films have the same name, all films with that name get a longer one, until all names differ. First
the suffix is added (`a.png`, `a.jpg` -> `a_png`, `a_jpg`). If names are still equal and the folders
differ, one more folder of the path is added (`siteA/a`, `siteB/a`). Finally, a digest of the path
is added (`FILM.png`, `film.png`). Names that differ only in capitals or in the encoding of accents
count as equal, as on many file systems. The names depend on the set of films, not on its order. A
name from an earlier run is kept.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pleura.io.files.remote import local_or_remote

__all__ = ["FILM_SUFFIXES", "split_suffix", "unique_names"]

FILM_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp"),
    *(".dcm", ".dicom", ".dic", ".nii", ".nii.gz"),
)
"""Suffixes of films in folders and globs; a file that is named itself may have any suffix."""

_SUFFIXES = frozenset(FILM_SUFFIXES)
_DOUBLE = ".nii.gz"


def unique_names(films: Mapping[str, int], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """A dict from each film's path or URL to the unique name of its results.

    `films` maps each film to the least number of parent folders (innermost first) in its name.
    `kept` maps films to their names from an earlier run, which do not change.

    First all films are named as if there were no earlier run, then the films of an earlier run get
    their old names. So the names do not depend on how many films a killed run had finished.
    """
    naming = _Naming({film: _name(film, depth) for film, depth in films.items()}, films)
    naming.make_unique()
    naming.kept = {film: kept[film] for film in films if film in kept} if kept else {}
    if any(naming.names[film] != name for film, name in naming.kept.items()):
        naming.names.update(naming.kept)
        naming.make_unique()
    return naming.names


@dataclass(frozen=True, slots=True)
class _Choice:
    """The parts of a film's name."""

    depth: int  # the number of parent folders in the name, innermost first
    with_suffix: bool = False
    with_digest: bool = False


@dataclass(slots=True)
class _Naming:
    """The names of films while they are made unique."""

    names: dict[str, str]
    depths: Mapping[str, int]
    choices: dict[str, _Choice] = field(default_factory=dict)
    """The parts of the names that became longer, by film."""

    kept: Mapping[str, str] = field(default_factory=dict)

    def make_unique(self) -> None:
        """Make names longer, in rounds, until all differ."""
        while longer := [
            choice for group in self._groups_with_equal_names() for choice in self._longer(group)
        ]:
            self.choices.update(longer)
            self.names.update((film, _name(film, choice.depth, choice)) for film, choice in longer)

    def _groups_with_equal_names(self) -> Iterable[list[str]]:
        """The films with equal names; one list for each such name."""
        first: dict[str, str] = {}
        groups: dict[str, list[str]] = {}
        for film, name in self.names.items():
            key = _key(name)
            other = first.setdefault(key, film)
            if other is not film:
                groups.setdefault(key, [other]).append(film)
        return groups.values()

    def _longer(self, group: list[str]) -> Iterator[tuple[str, _Choice]]:
        """Yield each film of a group whose name can become longer, with the parts of that name."""
        free = {film: self._choice(film) for film in group if film not in self.kept}
        suffixes = Counter(split_suffix(_tail(film, 0))[1].casefold() for film in group)
        folders = {film: _folders(film) for film in group}
        folders_differ = len({_key("/".join(parts)) for parts in folders.values()}) > 1
        may_deepen = folders_differ and any(c.depth < len(folders[f]) for f, c in free.items())
        all_have_suffix = all(choice.with_suffix for choice in free.values())
        by_suffix = not all_have_suffix and (max(suffixes.values()) == 1 or not may_deepen)
        for film, choice in free.items():
            if by_suffix:
                yield film, replace(choice, with_suffix=True)
            elif may_deepen:
                yield film, replace(choice, depth=min(choice.depth + 1, len(folders[film])))
            elif not choice.with_digest:
                yield film, replace(choice, with_digest=True)

    def _choice(self, film: str) -> _Choice:
        return self.choices.get(film) or _Choice(self.depths[film])


def _name(film: str, depth: int, choice: _Choice | None = None) -> str:
    folders, slash, file = _tail(film, depth).rpartition("/")
    stem, suffix = split_suffix(file)
    if choice is not None and choice.with_suffix and suffix:
        stem = f"{stem}_{suffix.lstrip('.').replace('.', '_')}"
    if choice is not None and choice.with_digest:
        path = os.fsencode(local_or_remote(film))
        stem = f"{stem}_{hashlib.sha256(path).hexdigest()[:12]}"
    return f"{folders}{slash}{stem}"


def split_suffix(name: str) -> tuple[str, str]:
    """Split 'a.nii.gz' into ('a', '.nii.gz'); a suffix that is not a film's stays in the stem."""
    suffix = name[name.rfind(".") :].lower()
    length = len(suffix) if suffix in _SUFFIXES else 0
    if suffix == _DOUBLE[-len(suffix) :] and name.lower().endswith(_DOUBLE):
        length = len(_DOUBLE)
    return (name[:-length], name[-length:]) if 0 < length < len(name) else (name, "")


def _tail(film: str, depth: int) -> str:
    """The file's name, after the `depth` innermost of its folders."""
    path = film if os.sep == "/" else film.replace(os.sep, "/")
    return "/".join(path.rsplit("/", depth + 1)[1:])


def _folders(film: str) -> tuple[str, ...]:
    """The folders of a film's absolute path, without the root; outermost first."""
    return local_or_remote(film).parts[1:-1]


def _key(name: str) -> str:
    """The name without case and encoding of accents; names with the same key count as equal."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name.casefold())
