"""Finding the films that a command line names, and counting the files that are left out.

`io.run.naming` makes the names of a film's results. Paths are text here, as a search may find
millions of films, and making a `Path` takes longer than listing a file.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from pleura.core.errors import UsageError
from pleura.io.files.atomic import OWN_PREFIX
from pleura.io.files.film_lists import LIST_SUFFIXES, listed_paths
from pleura.io.files.open_file import open_file
from pleura.io.files.remote import (
    is_remote,
    is_remote_folder,
    local_or_remote,
    name_of,
    read_head,
    walk_remote,
)
from pleura.io.files.walk import scan, walk
from pleura.io.run.left_out import LeftOut
from pleura.io.run.naming import FILM_SUFFIXES, unique_names
from pleura.io.run.recognise_results import (
    EarlierResults,
    is_beside_its_film,
    may_be_result,
    stems_of,
)

__all__ = ["FILM_SUFFIXES", "FilmFile", "Search", "find_films"]


_SKIPPED_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN"})


@dataclass(frozen=True, slots=True, order=True)
class FilmFile:
    """A film on disk, or in an object store."""

    source: str
    """The absolute path as text, or the URL."""

    name: str
    """The path of its results under the output folder, without suffix and with `/` between folders;
    unique in its run."""

    @property
    def path(self) -> Path:
        """The absolute path of the film, or the path of its URL (`io.files.remote`)."""
        return local_or_remote(self.source)


@dataclass(frozen=True, slots=True)
class Search:
    """The result of a search."""

    films: list[FilmFile]
    """Sorted by `name`."""

    left_out: LeftOut
    """Files that are not films of this run, and files that could not be read."""


def find_films(
    inputs: Sequence[str | Path],
    *,
    leave_out: str | Path | None = None,
    known: Mapping[str, str] | None = None,
) -> Search:
    """Find the films that `inputs` name: files, folders, globs, lists, and URLs of object stores.

    Folders are searched, with all folders below, for the suffixes in `FILM_SUFFIXES` and for DICOM
    files without a suffix. Hidden files and folders, files of other kinds and results of earlier
    runs are left out and counted; the output folder `leave_out` is not entered. A film that is
    named twice is found once. `known` has the names from an earlier run, by path: they are kept.

    Raises `UsageError` for a missing path, a folder without films, and a glob without a match.
    """
    if not inputs:
        raise UsageError("no input given; name films, folders, globs, lists or URLs")
    search = _FilmSearch(None if leave_out is None else name_of(_absolute(leave_out)))
    deepest: dict[str, int] = {}
    for given in inputs:
        for source, depth in search.films_in(given):
            deepest[source] = max(depth, deepest.get(source, 0))
    names = unique_names(deepest, known)
    films = [FilmFile(source, name) for source, name in names.items()]
    films.sort(key=attrgetter("name", "source"))
    return Search(films, search.left_out)


class _FilmSearch:
    """One search, and the files that it leaves out."""

    def __init__(self, skipped: str | None) -> None:
        self.left_out = LeftOut()
        self._skipped = skipped
        self._earlier = EarlierResults()

    def films_in(self, given: str | Path) -> Iterator[tuple[str, int]]:
        """The films of one input: (source, number of its folders that its name includes)."""
        path = _absolute(given)
        if is_remote(path):
            yield from self._in_store(path)
        elif os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder is closed
            yield from self._in_folder(path)
        elif path.suffix.lower() in LIST_SUFFIXES and os.path.isfile(path):  # noqa: PTH113
            yield from _in_list(path)
        elif os.path.lexists(path):
            yield str(path), 0
        elif glob.has_magic(str(given)):
            yield from self._of_glob(str(given))
        else:
            raise UsageError(_missing_input(path, given))

    def _in_store(self, path: Path) -> Iterator[tuple[str, int]]:
        """The films of a URL."""
        if path.suffix.lower() in LIST_SUFFIXES:
            yield from _in_list(path)
            return
        try:
            is_folder = is_remote_folder(path)
        except OSError as error:
            raise UsageError(
                f"cannot read {name_of(path)}: {error.strerror or error}; check the URL and the "
                "credentials, and name a folder or a list, as globs are for paths on disk"
            ) from error
        yield from self._in_folder(path) if is_folder else [(name_of(path), 0)]

    def _in_folder(self, folder: Path) -> list[tuple[str, int]]:
        """All films below `folder`, with their depth; `UsageError` if there are none."""
        no_films = (
            f"no films in the folder {name_of(folder)}: searched it and all folders below for "
            f"{', '.join(FILM_SUFFIXES)} and DICOM files without a suffix"
        )
        return self._named(
            self._below(name_of(folder)),
            folder,
            no_films=no_films,
            remedy="; name the right folder",
        )

    def _of_glob(self, pattern: str) -> list[tuple[str, int]]:
        """Films that match, or lie in folders that match, with their depth below the plain part."""
        parts = Path(pattern).expanduser().parts
        plain = next((n for n, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        base = _absolute(Path(*parts[:plain]))
        matches = self._matching(base, parts[plain:])
        films: set[str] = set()
        entered: set[str] = set()
        for path in matches:
            if self._is_skipped(path) or not entered.isdisjoint((str(path), str(path.parent))):
                continue
            if os.path.isdir(path):  # noqa: PTH112
                films.update(self._below(str(path), entered))
            elif self._is_film(str(path), path.name):
                films.add(str(path))
        no_films = (
            f"the glob {pattern} matches {len(matches)} paths, none of them a film; "
            f"films end in {', '.join(FILM_SUFFIXES)}, or are DICOM files without a suffix"
        )
        return self._named(films, base, no_films=no_films)

    def _named(
        self, films: Iterable[str], base: Path, *, no_films: str, remedy: str = ""
    ) -> list[tuple[str, int]]:
        """The films with their depth below `base`; `UsageError` if there are none."""
        above = _with_slash(name_of(base))
        named = [(film, _depth(film, above)) for film in films]
        if not named:
            raise UsageError(f"{no_films}{self._other_files()}{remedy}")
        return named

    def _matching(self, base: Path, parts: Sequence[str]) -> list[Path]:
        """The paths that match a glob's parts below `base`; `glob.glob` fails in deep trees."""
        places = [base]
        while parts and parts[-1] == "**":  # a folder that matches is searched to the bottom anyway
            parts = parts[:-1]
        for part in parts:
            deeper: dict[Path, None] = {}
            for place in places:
                deeper.update(dict.fromkeys(self._matches(place, part)))
            places = list(deeper)
        return places

    def _matches(self, place: Path, part: str) -> Iterator[Path]:
        if part == "**":
            for folder, folders, _ in walk(str(place), follow=True, on_error=self._cannot_read):
                folders[:] = [name for name in folders if not name.startswith(".")]
                yield Path(folder)
        elif glob.has_magic(part):
            try:
                names = [entry.name for entry in place.iterdir()] if os.path.isdir(place) else []  # noqa: PTH112
            except OSError as error:
                self._cannot_read(str(place), error)
                names = []
            hidden = part.startswith(".")
            matching = sorted(fnmatch.filter(names, part))
            yield from (place / name for name in matching if hidden or not name.startswith("."))
        elif os.path.lexists(place / part):
            yield place / part

    def _below(self, folder: str, entered: set[str] | None = None) -> Iterator[str]:
        """Every film below `folder`; linked folders are entered once; adds folders to `entered`."""
        for place, folders, files in self._scan(folder):
            if place == self._skipped:
                folders.clear()
                continue
            if entered is not None:
                entered.add(place)
            above = _with_slash(place)
            hidden = {name for name in folders if name.startswith(".") or name in _SKIPPED_FOLDERS}
            folders[:] = [name for name in folders if name not in hidden]
            self.left_out.hidden.add(*(above + name for name in sorted(hidden)))
            yield from self._films_among(files, above)

    def _films_among(self, files: Mapping[str, bool], above: str) -> Iterator[str]:
        """The films among the files of one folder, whose path with `/` at its end is `above`."""
        stems = stems_of(files)
        for name, regular in files.items():
            if name.startswith("."):
                if not name.startswith(OWN_PREFIX):
                    self.left_out.hidden.add(above + name)
            elif is_beside_its_film(name, stems):
                self.left_out.results.add(above + name)
            elif self._is_film(above + name, name, regular=regular):
                yield above + name

    def _scan(self, folder: str) -> Iterator[tuple[str, list[str], Mapping[str, bool]]]:
        """As `scan`; files of an object store are not known to be regular files."""
        if not is_remote(local_or_remote(folder)):
            yield from scan(folder, follow=True, on_error=self._cannot_read)
            return
        walked = walk_remote(local_or_remote(folder), on_error=self._cannot_read)
        for place, folders, files in walked:
            yield place, folders, dict.fromkeys(files, False)

    def _is_film(self, source: str, name: str, *, regular: bool = False) -> bool:
        """Whether the file is a film; if not, it is counted among those left out."""
        try:
            film, special = _kind(source, name, regular=regular)
        except OSError as error:
            self._cannot_read(source, error)
            return False
        if may_be_result(name) and local_or_remote(source) in self._earlier:
            self.left_out.results.add(source)
            return False
        if not film:
            (self.left_out.special if special else self.left_out.other).add(source)
        return film

    def _is_skipped(self, path: Path) -> bool:
        return self._skipped is not None and path.is_relative_to(local_or_remote(self._skipped))

    def _cannot_read(self, path: str, error: OSError) -> None:
        self.left_out.cannot_read(path, error.strerror or str(error))

    def _other_files(self) -> str:
        """The files that exist but are not films, for the text of an error."""
        files = "; ".join([*self.left_out.complaints(), *self.left_out.lines()])
        return f" ({files})" if files else ""


def _kind(source: str, name: str, *, regular: bool) -> tuple[bool, bool]:
    """(whether it is a film, whether it is a pipe or device).

    The suffix decides; for a file without one, or with a number as in UIDs, the DICOM preamble.
    `regular`: it is known to be a regular file. Raises `OSError` if the file cannot be read.
    """
    lower = name.lower()
    by_suffix = lower.endswith(FILM_SUFFIXES)
    if by_suffix and regular:
        return True, False
    path = local_or_remote(source)
    if not by_suffix and ((path.suffix and not path.suffix[1:].isdigit()) or lower == "dicomdir"):
        return False, False
    if is_remote(path):
        return by_suffix or read_head(path, 132)[128:] == b"DICM", False
    try:
        regular = regular or stat.S_ISREG(path.stat().st_mode)
    except OSError:
        if by_suffix:  # its row in the table will have the reason
            return True, False
        raise
    if not regular or by_suffix:
        return regular, not regular
    with open_file(path) as file:
        return file.read(132)[128:] == b"DICM", False


def _missing_input(path: Path, given: str | Path) -> str:
    """The message for an input that does not exist or cannot be read."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"cannot read {given}: {error.strerror or error}; check the permissions"
    return f"there is no file or folder {given}; check the spelling, or quote a glob"


def _with_slash(folder: str) -> str:
    """A folder's path or URL with the separator at its end."""
    separator = "/" if "://" in folder else os.sep
    return folder if folder.endswith(separator) else folder + separator


def _depth(film: str, above: str) -> int:
    """The number of folders between a folder, whose path ends in `/`, and the film; 0 if it is not
    below the folder.
    """
    if not film.startswith(above):
        return 0
    below = film[len(above) :]
    return below.count("/") + (below.count(os.sep) if os.sep != "/" else 0)


def _absolute(path: str | Path) -> Path:
    """Absolute and without `..`; links are not resolved, as a film is named by its link."""
    named = local_or_remote(path)
    if is_remote(named):
        return named
    return Path(os.path.abspath(named.expanduser()))  # noqa: PTH100 - resolve() follows links


def _in_list(path: Path) -> Iterator[tuple[str, int]]:
    """The films of a list, with their depth below its folder."""
    above = _with_slash(name_of(path.parent))
    for entry in listed_paths(path):
        film = name_of(_absolute(entry))
        yield film, _depth(film, above)
