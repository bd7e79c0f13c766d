"""Lists of films: one path a line, or a table with a column of paths."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from pleura.core.errors import UsageError
from pleura.io.files.open_file import open_file
from pleura.io.files.remote import is_remote, local_or_remote, name_of
from pleura.io.run.cells import name_in, readable

__all__ = ["LIST_SUFFIXES", "PATH_COLUMNS", "listed_paths"]

LIST_SUFFIXES = (".txt", ".csv", ".parquet")

PATH_COLUMNS = ("path", "image", "film")
"""Columns of a CSV or Parquet list; the first one that exists holds the films."""

_OF_RESULTS = {"film", "path", "status", "verdict"}
"""Columns by which a `results.csv` is recognised; its names are coded."""

_SHOWN = 3  # missing paths that a message lists


def listed_paths(path: Path) -> list[Path]:
    """The films that a .txt, .csv or .parquet list names.

    Relative names start from the list's folder; a name may be a URL of an object store. A .txt list
    has one path a line; blank lines and lines that start with # are skipped. A .csv list has a
    header with a column `path`, `image` or `film`, and commas, semicolons or tabs; a .parquet list
    has such a column. A `results.csv` is such a list; its names are decoded. Names that are not
    UTF-8 are looked up as they are. Whether films of object stores are there is not checked.
    Raises `UsageError` for an empty list, one without such a column, or missing films.
    """
    films = [_beside(path, name) for name in _names(path)]
    if not films:
        raise UsageError(f"the list {name_of(path)} names no film; write one path a line")
    missing = [str(film) for film in films if not (is_remote(film) or os.path.lexists(film))]
    if missing:
        some = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        raise UsageError(
            f"{len(missing)} of the {len(films)} films in the list {path} are not there: "
            f"{readable(some)}; relative names start from the list's own folder"
            + ("; or save the list as UTF-8 text" if readable(some) != some else "")
        )
    return films


def _beside(path: Path, name: str) -> Path:
    film = local_or_remote(name)
    return film if is_remote(film) else path.parent / film.expanduser()


def _names(path: Path) -> Iterable[str]:
    """The names in a list, as they are written."""
    suffix = path.suffix.lower()
    try:
        with open_file(path) as file:
            if suffix == ".parquet":
                return _parquet_names(path, file)
            text = _text(file.read())
    except (OSError, UnicodeDecodeError) as error:
        kind = "as Parquet" if suffix == ".parquet" else "as UTF-8 text"
        raise UsageError(
            f"cannot read the list {name_of(path)}: {error}; save it {kind}"
        ) from error
    return _csv_names(path, text) if suffix == ".csv" else _text_names(text)


def _parquet_names(path: Path, file: IO[bytes]) -> list[str]:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(file)
        columns = table.schema_arrow.names
        names = table.read([_path_column(path, {n.lower(): n for n in columns})]).column(0)
    except ArrowInvalid as error:
        raise UsageError(
            f"cannot read the list {name_of(path)}: {error}; save it as Parquet"
        ) from error
    return [str(name) for name in names.to_pylist() if name]


def _text(content: bytes) -> str:
    """The text of a list; names that are not UTF-8 are kept, as Linux has such names.

    Raises `UnicodeDecodeError` for UTF-16, which has null bytes that no name has.
    """
    return content.decode("utf-8-sig", "strict" if b"\0" in content else "surrogateescape")


def _text_names(text: str) -> Iterator[str]:
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def _csv_names(path: Path, text: str) -> Iterator[str]:
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    rows = csv.DictReader(lines, delimiter=delimiter)
    fields = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    column = _path_column(path, fields)
    names = (row[column].strip() for row in rows if (row[column] or "").strip())
    return map(name_in, names) if fields.keys() >= _OF_RESULTS else names


def _path_column(path: Path, columns: Mapping[str, str]) -> str:
    """The column with the films; `columns` are their names, by their names in small letters."""
    column = next((columns[name] for name in PATH_COLUMNS if name in columns), None)
    if column is None:
        raise UsageError(
            f"the list {name_of(path)} has no column {' or '.join(PATH_COLUMNS)}; "
            f"it has: {', '.join(columns) or 'nothing'}. Give one of them such a name"
        )
    return column
