"""Lists of films in text and CSV files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from pleura.core.errors import UsageError
from pleura.io.opening import open_file

__all__ = ["LIST_SUFFIXES", "listed_paths"]

LIST_SUFFIXES = (".txt", ".csv")

PATH_COLUMNS = ("path", "image", "film")
"""Of a CSV list; the first that is there holds the films."""

_SHOWN = 3  # missing paths that a message names


def listed_paths(path: Path) -> list[Path]:
    """The films that a .txt or .csv list names; relative names start from the list's folder.

    A .txt list has one path a line; blank lines and lines that start with # are skipped. A .csv
    list has a header with a column `path`, `image` or `film`, and commas, semicolons or tabs.
    Raises `UsageError` for an empty list, a CSV without such a column, and missing films.
    """
    try:
        with open_file(path) as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the list {path}: {error}; save it as UTF-8 text") from error
    names = _csv_names(path, text) if path.suffix.lower() == ".csv" else _text_names(text)
    films = [path.parent / Path(name).expanduser() for name in names]
    if not films:
        raise UsageError(f"the list {path} names no film; write one path a line")
    missing = [str(film) for film in films if not os.path.lexists(film)]
    if missing:
        some = ", ".join(missing[:_SHOWN]) + (", ..." if len(missing) > _SHOWN else "")
        raise UsageError(
            f"{len(missing)} of the {len(films)} films in the list {path} are not there: {some}; "
            "relative names start from the list's own folder"
        )
    return films


def _text_names(text: str) -> Iterator[str]:
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if line and not line.startswith("#"))


def _csv_names(path: Path, text: str) -> Iterator[str]:
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = max(",;\t", key=header.count)
    rows = csv.DictReader(lines, delimiter=delimiter)
    fields = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    column = next((fields[name] for name in PATH_COLUMNS if name in fields), None)
    if column is None:
        raise UsageError(
            f"the list {path} has no column {' or '.join(PATH_COLUMNS)}; "
            f"it has: {', '.join(fields) or 'nothing'}. Name one of them in its first line"
        )
    return (row[column].strip() for row in rows if (row[column] or "").strip())
