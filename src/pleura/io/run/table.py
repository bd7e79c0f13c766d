"""Writing `results.csv`, one row a film, so that a run can be stopped at any moment.

During a run a line is appended and flushed to the disk as soon as its film is finished. A killed
run leaves at most one incomplete line at the end, which the next run with `resume` removes. When a
run ends, the table is written again, sorted by film, so that it does not depend on the order in
which films were finished, nor on how often the run was stopped.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import FileIO, StringIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from pleura.core.errors import OutputError, UsageError
from pleura.io.files.atomic import atomic_write, cannot_write, remove_partial_files
from pleura.io.files.open_file import open_file
from pleura.io.run.cells import name_in
from pleura.io.run.row import COLUMNS, Row, are_cells

__all__ = [
    "RESULTS",
    "RowSummary",
    "Rows",
    "Table",
    "read_cells",
    "read_names",
    "read_rows",
    "write_table",
]

RESULTS = "results.csv"
"""The table's name in the output folder."""


class RowSummary(NamedTuple):
    """The cells of a row that decide whether its film is finished, as text."""

    path: str
    status: str
    verdict: str
    lungs_area_px: str


class Rows(Mapping[str, Row]):
    """The rows of a table by film, each kept as its line and parsed when it is read.

    A million lines take a fifth of the memory and of the time that a million `Row`s take.
    """

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}

    def __getitem__(self, film: str) -> Row:
        return _row(_cells(self._lines[film]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def summary(self, film: str) -> RowSummary | None:
        """The cells of a film's row that `unfinished` needs; None if there is no row."""
        line = self._lines.get(film)
        if line is None:
            return None
        cells = _cells(line)
        return RowSummary(name_in(cells[_PATH]), cells[_STATUS], cells[_VERDICT], cells[_AREA])

    def set_line(self, film: str, line: str) -> None:
        """Add a film's row, or replace it; `line` is as in the table, without its end."""
        self._lines[film] = line

    def lines(self) -> Iterator[str]:
        """The lines of all films, sorted by film."""
        return (self._lines[film] for film in sorted(self._lines))


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
        self.rows = Rows()
        is_final = False
        if resume and self.path.exists():
            self.rows, is_final = _read(self.path)
        remove_partial_files(out)
        if not is_final:
            self._rewrite()
        self._added = False
        self._file: FileIO = self._opened()

    def add(self, *rows: Row) -> None:
        """Append rows of films, or replace their earlier ones; they are on the disk on return.

        Raises `OutputError` if the table was removed; `close` writes the rows of all films again.
        """
        self._added = True
        lines = [_line(row.cells()) for row in rows]
        try:
            _write_all(self._file, b"".join(map(_encoded, lines)))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error
        for row, line in zip(rows, lines, strict=True):
            self.rows.set_line(row.film, line)
        if not self._exists():
            raise self._removed()

    def close(self) -> None:
        """Write the table again, sorted by film, each film once; a second call does nothing.

        Raises `OutputError` if the table was removed; it is written nevertheless.
        """
        if not self._file.closed:
            exists = self._exists()
            self._file.close()
            if self._added or not exists:
                self._rewrite()
            if not exists:
                raise self._removed()

    def __enter__(self) -> Table:
        """The table itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the table; after an `OutputError` it is not written again if it is there."""
        if isinstance(error, OutputError) and self._exists():
            self._file.close()
        else:
            self.close()

    def _exists(self) -> bool:
        """Whether the table is there; if it was removed, `_file` is a file without a name."""
        return os.path.exists(self.path)  # noqa: PTH110 - called for each film

    def _removed(self) -> OutputError:
        return OutputError(
            f"{self.path} was removed during the run, and perhaps other results with it"
        )

    def _opened(self) -> FileIO:
        try:
            return self.path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _rewrite(self) -> None:
        _write_lines(self.path, self.rows.lines())


def write_table(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write a table with the cells of all films, atomically; they are not held in memory."""
    _write_lines(path, map(_line, rows))


def read_cells(path: Path) -> Iterator[list[str]]:
    """The cells of each film of a table that `Table` closed; they are not held in memory.

    Raises `UsageError` for a table with other columns, as of another version.
    """
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file)
        _check_columns(path, next(rows, COLUMNS))
        yield from rows


def read_rows(path: Path) -> list[Row]:
    """The rows of a `results.csv`; if a film has several rows, the last one counts.

    Invalid lines are left out, and so is a last line without a line end, which a killed run leaves.
    Raises `UsageError` for a table with other columns, as of another version.
    """
    return list(_read(path)[0].values())


def read_names(path: Path) -> dict[str, str]:
    """The names of the results in a `results.csv`, by the film's path; raises as `read_rows`."""
    names: dict[str, str] = {}
    for line in _lines_of(path)[1:-1]:
        cells = _cells(line)
        if len(cells) == len(COLUMNS):
            names.setdefault(name_in(cells[_PATH]), name_in(cells[_FILM]))
    return names


_FILM, _PATH, _STATUS, _VERDICT, _AREA = map(
    COLUMNS.index, ("film", "path", "status", "verdict", "lungs_area_px")
)


def _read(path: Path) -> tuple[Rows, bool]:
    """The rows, and whether the file is complete and sorted, as `_rewrite` writes it."""
    lines = _lines_of(path)
    rows = Rows()
    if len(lines) < 2:
        return rows, False
    is_final, last = not lines[-1], ""
    for line in lines[1:-1]:
        cells = _cells(line)
        if not are_cells(cells):
            is_final = False
            continue
        film = name_in(cells[_FILM])
        is_final = is_final and (film > last or not rows)
        rows.set_line(film, line)
        last = film
    return rows, is_final


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
    if len(lines) > 1:
        _check_columns(path, _cells(lines[0]))
    return lines


def _check_columns(path: Path, cells: Sequence[str]) -> None:
    if tuple(cells) != COLUMNS:
        raise UsageError(
            f"{path} has other columns than this version writes; segment the films again, into "
            "a new output folder or with --overwrite"
        )


def _cells(line: str) -> list[str]:
    """The cells of a line; one without quotes needs no parser."""
    if '"' not in line and "\r" not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a damaged line: a cell of more than 128 kB
        return []


def _row(cells: list[str]) -> Row:
    return Row.from_cells(dict(zip(COLUMNS, cells, strict=True)))


def _write_all(file: FileIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a table, atomically."""
    with atomic_write(path) as file:
        file.write(_encoded(_line(COLUMNS)))
        for line in lines:
            file.write(_encoded(line))


def _line(cells: Sequence[str]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _encoded(line: str) -> bytes:
    return (line + "\n").encode("utf-8", errors="surrogateescape")
