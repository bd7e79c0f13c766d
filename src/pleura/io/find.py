"""Which films a command line means, and under which names their results go.

A film's `relative` is its place inside the folder, glob or list it was found by, without the
suffix: the tree is mirrored under the output folder. Where two films would share a name, all that
share it change, until none do: first the suffix joins the name (`a.png`, `a.jpg` -> `a_png`,
`a_jpg`), and where that does not tell them apart, one more folder of the path (`siteA/a`,
`siteB/a`). Names that differ only in capitals or in the way accents are encoded count as shared, as
many file systems take them for one. The names depend on the set of films alone, not on the order
they are given in.
"""

from __future__ import annotations

import glob
import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from pleura.core.errors import UsageError
from pleura.io.lists import LIST_SUFFIXES, listed_paths

__all__ = ["FILM_SUFFIXES", "Found", "find_films"]

FILM_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp"),
    *(".dcm", ".dicom", ".dic", ".nii", ".nii.gz"),
)
"""What is taken for a film inside folders and globs; a file named outright is taken as it is."""

_LONGEST_FIRST = tuple(sorted(FILM_SUFFIXES, key=len, reverse=True))

_SKIPPED_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN"})


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A film on disk."""

    path: Path
    """Where it is."""

    relative: PurePath
    """Where its results go under the output folder: a path without suffix, unique in its run."""


@dataclass(frozen=True, slots=True)
class _Named:
    """A film on the way to a unique name."""

    path: Path
    folders: tuple[str, ...]  # of the absolute path, outermost first
    depth: int  # how many of them, from the right, are in the name
    with_suffix: bool = False
    with_digest: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """The name as it stands."""
        stem, suffix = _split_suffix(self.path.name)
        if self.with_suffix and suffix:
            stem = f"{stem}_{suffix.lstrip('.').replace('.', '_')}"
        if self.with_digest:
            stem = f"{stem}_{hashlib.sha256(self.path.as_posix().encode()).hexdigest()[:12]}"
        return *self.folders[len(self.folders) - self.depth :], stem

    @property
    def key(self) -> str:
        """What a file system that ignores case and accents' encoding makes of the name."""
        return unicodedata.normalize("NFC", "/".join(self.parts).casefold())


def find_films(inputs: Sequence[str | Path], *, leave_out: str | Path | None = None) -> list[Found]:
    """Find the films that `inputs` name: files, folders, globs, and .txt or .csv lists.

    Folders are searched to the bottom for the suffixes in `FILM_SUFFIXES`, and for DICOM files
    without a suffix; hidden files and folders, and the folder `leave_out` (where results go), are
    skipped. A film named twice comes once. Sorted by `relative`.

    Raises `UsageError` for a missing path, a folder without films, and a glob without a match.
    """
    if not inputs:
        raise UsageError("no input given; name films, folders, globs, or a .txt or .csv list")
    skipped = None if leave_out is None else _absolute(leave_out)
    deepest: dict[Path, int] = {}
    for each in inputs:
        for path, depth in _films_of(each, skipped):
            deepest[path] = max(depth, deepest.get(path, 0))
    named = [
        _Named(path, tuple(part for part in path.parent.parts if part != path.anchor), depth)
        for path, depth in deepest.items()
    ]
    films = [Found(each.path, PurePath(*each.parts)) for each in _told_apart(named)]
    return sorted(films, key=lambda film: (film.relative.as_posix(), film.path))


def _films_of(given: str | Path, skipped: Path | None) -> Iterator[tuple[Path, int]]:
    """The films of one input: (absolute path, folders of it that are mirrored)."""
    path = _absolute(given)
    if path.is_dir():
        yield from _films_in_folder(path, path, skipped)
    elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        for entry in listed_paths(path):
            yield _absolute(entry), _depth(_absolute(entry), path.parent)
    elif path.exists():
        yield path, 0
    elif glob.has_magic(str(given)):
        yield from _films_of_glob(str(given), skipped)
    else:
        raise UsageError(f"there is no file or folder {given}; check the spelling, or quote a glob")


def _films_in_folder(folder: Path, base: Path, skipped: Path | None) -> list[tuple[Path, int]]:
    """All films below `folder`, named from `base`; `UsageError` where there are none."""
    films = [path for path in _walk(folder, skipped) if _is_film(path)]
    if not films:
        raise UsageError(
            f"no films in the folder {folder}: looked, in all its folders, for "
            f"{', '.join(FILM_SUFFIXES)} and DICOM files without a suffix; name the right folder"
        )
    return [(path, _depth(path, base)) for path in films]


def _films_of_glob(pattern: str, skipped: Path | None) -> list[tuple[Path, int]]:
    """Films that match, and those in folders that match, named from the part without wildcards."""
    pattern = str(Path(pattern).expanduser())
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - the pattern may be absolute
    matches = [_absolute(each) for each in found]
    parts = Path(pattern).parts
    plain = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    base = _absolute(Path(*parts[:plain]))
    films = {path for path in matches if path.is_file() and _is_film(path)}
    for folder in matches:
        if folder.is_dir():
            films.update(path for path in _walk(folder, skipped) if _is_film(path))
    if skipped is not None:
        films = {path for path in films if not path.is_relative_to(skipped)}
    if not films:
        raise UsageError(
            f"the glob {pattern} matches {len(matches)} paths, none of them a film; "
            f"films end in {', '.join(FILM_SUFFIXES)}, or are DICOM files without a suffix"
        )
    return [(path, _depth(path, base)) for path in films]


def _walk(folder: Path, skipped: Path | None) -> Iterator[Path]:
    """Every file below that is not hidden; linked folders are followed, each place once."""
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        here = Path(place).stat()
        if (here.st_dev, here.st_ino) in seen or Path(place) == skipped:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each not in _SKIPPED_FOLDERS
        )
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def _is_film(path: Path) -> bool:
    """By suffix; a file without one, or whose suffix is a number as in UIDs, by DICOM's mark."""
    name = path.name.lower()
    with suppress(OSError):
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe could be waited for for ever
            return False
    if name.endswith(FILM_SUFFIXES):
        return True
    if (path.suffix and not path.suffix[1:].isdigit()) or name == "dicomdir":
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _split_suffix(name: str) -> tuple[str, str]:
    """('a', '.nii.gz'); a suffix that marks no film, as the end of a UID, stays in the stem."""
    lower = name.lower()
    for suffix in _LONGEST_FIRST:
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], name[-len(suffix) :]
    return name, ""


def _told_apart(films: Iterable[_Named]) -> list[_Named]:
    """Change all names that clash, in rounds, until none do."""
    films = sorted(films, key=lambda film: film.path)
    while True:
        sharing: dict[str, list[_Named]] = {}
        for film in films:
            sharing.setdefault(film.key, []).append(film)
        groups = {key: group for key, group in sharing.items() if len(group) > 1}
        if not groups:
            return films
        changed = {film.path: film for group in groups.values() for film in _next_names(group)}
        films = [changed.get(film.path, film) for film in films]


def _next_names(group: list[_Named]) -> list[_Named]:
    """The next name of films that share one; each round adds to it, so that the rounds end."""
    suffixes = Counter(_split_suffix(film.path.name)[1].casefold() for film in group)
    if max(suffixes.values()) == 1 and not all(film.with_suffix for film in group):
        return [replace(film, with_suffix=True) for film in group]
    if any(film.depth < len(film.folders) for film in group):
        return [replace(film, depth=min(film.depth + 1, len(film.folders))) for film in group]
    if not all(film.with_suffix for film in group):
        return [replace(film, with_suffix=True) for film in group]
    return [replace(film, with_digest=True) for film in group]


def _depth(path: Path, base: Path) -> int:
    """How many folders of `path` lie below `base`; 0 where it lies elsewhere."""
    own, above = path.parts, base.parts
    return len(own) - len(above) - 1 if own[: len(above)] == above else 0


def _absolute(path: str | Path) -> Path:
    """Absolute and without `..`, links unresolved: a link's own name is the film's."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() follows links
