"""Writing `results.csv`, a row a film, so that a run can be stopped at any moment.

While a run goes on a line is appended for each film as it is finished and flushed to the disk; a
run that is killed leaves at most one torn line at the end, which the next run with `resume` cuts
off. When a run ends the table is written anew as a whole, sorted by film, so that it does not
depend on the order in which films were finished, nor on how often the run was stopped.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from io import FileIO, StringIO
from pathlib import Path
from types import TracebackType

from pleura.core.errors import OutputError, UsageError
from pleura.io.files.atomic import cannot_write, sweep, written_whole
from pleura.io.files.open_file import open_file
from pleura.io.run.row import COLUMNS, Row

__all__ = ["RESULTS", "Table", "read_rows"]

RESULTS = "results.csv"
"""The table's name in the output folder."""


class Table:
    """The results of one run, in one output folder; to be used with `with`, from one thread.

    `rows` holds what the table holds, by film; with `resume` it begins with the rows
    that are there.
    """

    def __init__(self, out: Path, *, resume: bool = False) -> None:
        """Open `out/results.csv`; without `resume` an older one is replaced.

        Leftovers of killed runs under `out` are removed. Raises `OutputError` where the folder
        takes no file, and `UsageError` where the table to resume is none of ours.
        """
        self.path = out / RESULTS
        self.rows: dict[str, Row] = {}
        tidy = False
        if resume and self.path.exists():
            found, tidy = _read(self.path)
            self.rows = {row.film: row for row in found}
        sweep(out)
        if not tidy:
            self._rewrite()
        self._added = False
        self._file: FileIO = self._opened()

    def add(self, row: Row) -> None:
        """Append a film's row, or replace its earlier one; it is on the disk on return."""
        self._added = True
        try:
            _write_all(self._file, _line(row.cells()))
            os.fsync(self._file.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error
        self.rows[row.film] = row

    def close(self) -> None:
        """Write the table anew, sorted by film, each film once; closing again does nothing."""
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
        """Close, whatever ended the run; a disk that took no more is not asked again."""
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
        rows = (self.rows[film].cells() for film in sorted(self.rows))
        with written_whole(self.path) as file:
            file.write(_lines([COLUMNS, *rows]))


def read_rows(path: Path) -> list[Row]:
    """The rows of a `results.csv`; of a film with several the last counts.

    A last line without its line end was torn off by a kill, and left out; so are lines that are no
    rows. Raises `UsageError` for a table with other columns, as of another version.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Row], bool]:
    """The rows, and whether the file is what `_rewrite` makes of them."""
    try:
        with open_file(path) as file:
            lines = file.read().decode("utf-8", errors="surrogateescape").split("\n")
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror or error}; give a new output folder, "
            "or run again without --resume"
        ) from error
    header = next(csv.reader(lines[:1]), [])
    whole = lines[:-1]  # what follows the last line end is nothing, or torn
    if not whole:
        return [], False
    if tuple(header) != COLUMNS:
        raise UsageError(
            f"{path} has other columns than this version writes; "
            "give a new output folder, or run again without --resume"
        )
    found = [_row(cells) for cells in csv.reader(whole[1:])]
    rows = {row.film: row for row in found if row is not None}
    tidy = not lines[-1] and len(rows) == len(found) and list(rows) == sorted(rows)
    return list(rows.values()), tidy


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
