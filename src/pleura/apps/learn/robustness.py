"""`pleura robustness`: films with masks in, a table of what shakes the answer out."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pleura.apps.cli.engines import open_engine
from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.options import (
    Films,
    Layout,
    MostFilms,
    NoBar,
    Split,
    Splits,
    TrialLungs,
    Weights,
)
from pleura.apps.cli.progress import FilmProgress, console

__all__ = ["film_bar", "robustness"]


def robustness(
    data: Films,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the table and its picture go.")
    ] = Path("report"),
    split: Split = "test",
    splits: Splits = None,
    layout: Layout = "auto",
    weights: Weights = None,
    lungs: TrialLungs = None,
    limit: MostFilms = None,
    seed: Annotated[int, typer.Option(help="Of every draw: films, intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table on stdout.")] = False,
    quiet: NoBar = False,
) -> None:
    """Score films as they are, and mirrored, inverted, turned, stretched, pale, small and large.

    pleura robustness films/ --split test -o report
    pleura robustness films/ --limit 40 -o quick

    OUT receives robustness.json, .csv, .png and .html.
    """
    engine = open_engine(weights)
    from pleura.lab.evaluate.trial import Trial
    from pleura.lab.report.robustness import robustness as run

    trial = Trial(
        data=tuple(data),
        split=split,
        splits=splits,
        layout=layout,
        lungs=lungs,
        limit=limit,
        seed=seed,
        command=shlex.join(["pleura", *sys.argv[1:]]),
    )
    with ExitStack() as stack:
        told = run(trial, engine, out, on_film=film_bar(stack, quiet))
    if as_json:
        typer.echo(json.dumps(told, indent=1, allow_nan=False))
    _tell(told, out)
    if told["films"]["failed"]:
        raise typer.Exit(Exit.FILMS_FAILED)


def film_bar(stack: ExitStack, quiet: bool) -> Callable[[int, int], None]:
    """A bar that opens at the first call and goes on with every other."""
    bars: list[FilmProgress] = []

    def step(_done: int, total: int) -> None:
        if bars:
            bars[0].advance()
        else:
            bars.append(stack.enter_context(FilmProgress(total, quiet=quiet)))

    return step


def _tell(told: dict[str, Any], out: Path) -> None:
    """The table in short, on stderr."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in ("films", "failed", "median", "mean", "< 0.90", "difference"):
        table.add_column(name, justify="right")
    for name, row in told["overall"].items():
        dice, change = row["dice"], row["difference"]["median"]
        values = [_number(dice["median"]), _number(dice["mean"])]
        poor = _number(dice["share_under_090"], ".1%")
        shown = [str(dice["n"]), str(row["failed"]), *values, poor, _number(change, "+.4f")]
        table.add_row(told["effects"][name], *shown)
    screen = console()
    screen.print(table)
    for failure in told["failures"]:
        screen.print(f"{failure['source']}/{failure['id']}: {failure['error']}", markup=False)
    screen.print(f"{out / 'robustness.html'}", markup=False)


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)
