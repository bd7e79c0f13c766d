"""Options, progress bar and output of `evaluate`, `robustness` and `calibrate`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.options import (
    Accept,
    AsJson,
    EvaluationLungs,
    Films,
    Fold,
    Layout,
    MostFilms,
    NoBar,
    Split,
    Splits,
)
from pleura.apps.cli.progress import FilmProgress, console
from pleura.io.files.atomic import check_takes_files

if TYPE_CHECKING:
    from pleura.lab.evaluate.evaluation import EvaluationSettings

__all__ = ["EvaluationOptions", "command_line", "figures_table", "film_bar"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """Which films are judged, how many, and where the results go."""

    data: Films
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for the results and the report.")
    ] = Path("report")
    split: Split = "test"
    splits: Splits = None
    fold: Fold = None
    layout: Layout = "auto"
    accept: Accept = None
    lungs: EvaluationLungs = None
    limit: MostFilms = None
    seed: Annotated[int, typer.Option(help="The seed of every random draw.")] = 0
    as_json: AsJson = False
    quiet: NoBar = False

    def settings(self, **more: Any) -> EvaluationSettings:
        """The settings of these options; `more` are other fields of it.

        Raises:
            OutputError: the results cannot be written.
        """
        from pleura.lab.evaluate.evaluation import EvaluationSettings

        check_takes_files(self.out)
        return EvaluationSettings(
            data=tuple(self.data),
            split=self.split,
            splits=self.splits,
            fold=self.fold,
            layout=self.layout,
            accepted=tuple(self.accept or ()),
            lungs=self.lungs,
            limit=self.limit,
            seed=self.seed,
            command=command_line(),
            **more,
        )

    def finish(self, results: dict[str, Any], show: Callable[[], None], *, page: str) -> None:
        """Print the results as JSON if asked for, print a summary, and name the films that failed.

        Raises:
            typer.Exit: with 3 if some films failed.
        """
        if self.as_json:
            typer.echo(json.dumps(results, indent=1, allow_nan=False))
        show()
        screen = console()
        for failure in results["failures"]:
            screen.print(f"{failure['source']}/{failure['id']}: {failure['error']}", markup=False)
        screen.print(f"{self.out / page}", markup=False)
        if results["films"]["failed"]:
            raise typer.Exit(Exit.FILMS_FAILED)


def command_line() -> str:
    """The command as it was typed, for reports."""
    return shlex.join(["pleura", *sys.argv[1:]])


def film_bar(stack: ExitStack, quiet: bool) -> Callable[[int, int], None]:
    """A progress bar that opens at the first call and advances at every other."""
    bars: list[FilmProgress] = []

    def step(_done: int, total: int) -> None:
        if bars:
            bars[0].advance()
        else:
            bars.append(stack.enter_context(FilmProgress(total, quiet=quiet)))

    return step


def figures_table(*columns: str) -> Table:
    """A table for the terminal: names on the left, then right-aligned columns of numbers.

    On a narrow terminal names and headings are broken into lines, and nothing is left out.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    return table
