"""Writing `results.csv`, one row a film, so that a run can be stopped at any moment.

During a run a line is appended and flushed to the disk as soon as its film is finished. A killed
run leaves at most one incomplete line at the end, which the next run with `resume` removes. When a
run ends, the table is written again, sorted by film, so that it does not depend on the order in
which films were finished, nor on how often the run was stopped.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from io import FileIO, StringIO
from pathlib import Path
from types import TracebackType

from pleura.core.errors import OutputError, UsageError
from pleura.io.files.atomic import atomic_write, cannot_write, remove_partial_files
from pleura.io.files.open_file import open_file
from pleura.io.run.cells import name_in
from pleura.io.run.row import COLUMNS, Row

__all__ = ["RESULTS", "Table", "read_cells", "read_names", "read_rows", "write_table"]

RESULTS = "results.csv"
"""The table's name in the output folder."""


class Table:
    """The results of one run in its output folder; a context manager for one thread.

    `rows` holds the rows of the table by film; with `resume` it starts with the existing rows.
    """

    def __init__(self, out: Path, *, resume: bool = False) -> None:
        """Open `out/results.csv`; without `resume` an older one is replaced.

        Partial files of killed runs under `out` are removed. Raises `OutputError` if the folder
        cannot be written, and `UsageError` if the table to resume has other columns.
        """
        self.path = out / RESULTS
        self.rows: dict[str, Row] = {}
        is_final = False
        if resume and self.path.exists():
            rows, is_final = _read(self.path)
            self.rows = {row.film: row for row in rows}
        remove_partial_files(out)
        if not is_final:
            self._rewrite()
        self._added = False
        self._file: FileIO = self._opened()

    def add(self, *rows: Row) -> None:
        """Append rows of films, or replace their earlier ones; they are on the disk on return."""
        self._added = True
        try:
            _write_all(self._file, _lines(row.cells() for row in rows))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.rows.update((row.film, row) for row in rows)

    def close(self) -> None:
        """Write the table again, sorted by film, each film once; a second call does nothing."""
        if not self._file.closed:
            self._file.close()
            if self._added:
                self._rewrite()

    def __enter__(self) -> Table:
        """The table itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the table; after an `OutputError` it is not written again."""
        if isinstance(error, OutputError):
            self._file.close()
        else:
            self.close()

    def _opened(self) -> FileIO:
        try:
            return self.path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _rewrite(self) -> None:
        write_table(self.path, (self.rows[film].cells() for film in sorted(self.rows)))


def write_table(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write a table with the cells of all films, atomically; they are not held in memory."""
    with atomic_write(path) as file:
        file.write(_line(COLUMNS))
        for cells in rows:
            file.write(_line(cells))


def read_cells(path: Path) -> Iterator[list[str]]:
    """The cells of each film of a table that `Table` closed; they are not held in memory."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        yield from rows


def read_rows(path: Path) -> list[Row]:
    """The rows of a `results.csv`; if a film has several rows, the last one counts.

    Invalid lines are left out, and so is a last line without a line end, which a killed run leaves.
    Raises `UsageError` for a table with other columns, as of another version.
    """
    return _read(path)[0]


def read_names(path: Path) -> dict[str, str]:
    """The names of the results in a `results.csv`, by the film's path; raises as `read_rows`."""
    lines = _lines_of(path)
    names: dict[str, str] = {}
    for cells in csv.reader(lines[1:-1]):
        if len(cells) == len(COLUMNS):
            names.setdefault(name_in(cells[_PATH]), name_in(cells[_FILM]))
    return names


_FILM, _PATH = COLUMNS.index("film"), COLUMNS.index("path")


def _read(path: Path) -> tuple[list[Row], bool]:
    """The rows, and whether the file is as `_rewrite` writes it."""
    lines = _lines_of(path)
    if len(lines) < 2:
        return [], False
    parsed = [_row(cells) for cells in csv.reader(lines[1:-1])]
    rows = {row.film: row for row in parsed if row is not None}
    is_final = not lines[-1] and len(rows) == len(parsed) and list(rows) == sorted(rows)
    return list(rows.values()), is_final


def _lines_of(path: Path) -> list[str]:
    """The lines of a table, its head first; the last one is empty, or incomplete."""
    try:
        with open_file(path) as file:
            lines = file.read().decode("utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror or error}; give a new output folder, "
            "or run again without --resume"
        ) from error
    if len(lines) > 1 and tuple(next(csv.reader(lines[:1]), [])) != COLUMNS:
        raise UsageError(
            f"{path} has other columns than this version writes; "
            "give a new output folder, or run again without --resume"
        )
    return lines


def _row(cells: list[str]) -> Row | None:
    if len(cells) != len(COLUMNS):
        return None
    try:
        return Row.from_cells(dict(zip(COLUMNS, cells, strict=True)))
    except ValueError:
        return None


def _write_all(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _line(cells: Sequence[str]) -> bytes:
    return _lines([cells])


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", errors="surrogateescape")
