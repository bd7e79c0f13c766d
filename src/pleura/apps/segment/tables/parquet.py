"""`pleura results parquet`: the table of a run as Parquet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from pleura.apps.cli.progress import say
from pleura.core.errors import UsageError
from pleura.io.files.atomic import OWN_PREFIX, cannot_write
from pleura.io.run.cells import readable
from pleura.io.run.lock import locked_folder
from pleura.io.run.row import Row
from pleura.io.run.table import RESULTS, read_rows

__all__ = ["PARQUET", "parquet"]

PARQUET = "results.parquet"
"""The name of the folder with the parts, in the output folder."""

_PART = 100_000  # films in one file
_NEW, _OLD = f"{OWN_PREFIX}parquet-new", f"{OWN_PREFIX}parquet-old"


def parquet(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.", metavar="OUT")],
) -> None:
    """Write OUT/results.parquet: the rows of OUT/results.csv, with types.

    pleura results parquet OUT

    It is a folder of files with 100,000 films each, sorted by film, as readers of
    Parquet take it (pandas, Polars, DuckDB, Spark). Numbers are numbers,
    undefined values are null. An older one is replaced. Needs the extra scale.
    """
    if not (out / RESULTS).is_file():
        raise UsageError(
            f"there is no {out / RESULTS}; give the --out of a run, and put shards together with "
            "`pleura results merge` first"
        )
    with locked_folder(out):
        rows = sorted(read_rows(out / RESULTS), key=lambda row: row.film)
        try:
            parts = _write(out / _NEW, iter(rows))
            _replace(out)
        except OSError as error:
            raise cannot_write(out / PARQUET, error) from error
    files = "1 file" if parts == 1 else f"{parts} files"
    say(f"{len(rows)} films in {files} in {out / PARQUET}")


def _write(folder: Path, rows: Iterator[Row]) -> int:
    """Write the parts into a new folder; their number."""
    from pyarrow.parquet import write_table

    shutil.rmtree(folder, ignore_errors=True)  # of a command that was killed
    folder.mkdir()
    parts = 0
    while (part := list(islice(rows, _PART))) or not parts:
        write_table(_table(part), folder / f"part-{parts:05}.parquet")
        parts += 1
    return parts


def _table(rows: list[Row]) -> Any:
    import pyarrow

    kinds = {"int": pyarrow.int64(), "float": pyarrow.float64(), "str": pyarrow.string()}
    columns = {field.name: kinds[str(field.type).partition(" ")[0]] for field in fields(Row)}
    return pyarrow.table(
        {
            name: pyarrow.array([_value(row, name) for row in rows], kind)
            for name, kind in columns.items()
        }
    )


def _value(row: Row, name: str) -> Any:
    value = getattr(row, name)
    return readable(value) if isinstance(value, str) else value


def _replace(out: Path) -> None:
    shutil.rmtree(out / _OLD, ignore_errors=True)
    if (out / PARQUET).exists():
        (out / PARQUET).rename(out / _OLD)
    (out / _NEW).rename(out / PARQUET)
    shutil.rmtree(out / _OLD, ignore_errors=True)
