"""`pleura train`: a recipe and films in, a folder with weights out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.options import BatchWorkers, Layout, NoBar, Splits
from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.lab.data.film import Film

__all__ = ["duration", "train"]

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def _list(wanted: bool) -> None:
    """Tell the recipes that ship, and end."""
    if not wanted:
        return
    from pleura.lab.train.recipe import recipes_folder, shipped_recipes

    found = shipped_recipes()
    width = max(map(len, found))
    for name, said in found.items():
        typer.echo(f"{name:{width}}  {said}")
    typer.echo(f"They lie in {recipes_folder()}; copy one to make your own.", err=True)
    raise typer.Exit


def train(
    recipe: Annotated[
        Path,
        typer.Argument(help="A TOML file, or the name of a recipe that ships, such as seed."),
    ],
    data: Annotated[
        list[Path], typer.Option(help="A folder or manifest of films and masks; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the run is kept.")],
    splits: Splits = None,
    layout: Layout = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in OUT.")] = False,
    max_time: Annotated[
        str | None, typer.Option(help="Stop after this long, e.g. 90m, 2h or 1h30m.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    accelerator: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    strategy: Annotated[str, typer.Option(help="As Lightning names it, e.g. ddp.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, 32-true, bf16-mixed or 16-mixed.")] = "auto",
    workers: BatchWorkers = 0,
    quiet: NoBar = False,
    shipped: Annotated[  # noqa: ARG001 - its callback ends before
        bool,
        typer.Option(
            "--list", callback=_list, is_eager=True, help="Name the recipes that ship, and end."
        ),
    ] = False,
) -> None:
    """Train a network after a recipe.

    pleura train --list
    pleura train seed --data films/ --out runs/first
    pleura train my.toml --data films/ --out runs/mine --resume --max-time 2h

    OUT receives weights/ (for `pleura segment --weights`), checkpoints/, log/ and curves.png.
    """
    limit = None if max_time is None else duration(max_time)
    from pleura.lab.train.recipe import load_recipe

    chosen = load_recipe(recipe)
    chosen = chosen if epochs is None else replace(chosen, epochs=epochs)
    films = _films(data, layout, splits)
    from pleura.lab.train.run import Machine  # Lightning takes seconds: wrong usage is told before
    from pleura.lab.train.run import train as run

    machine = Machine(
        accelerator=accelerator,
        devices=devices,
        strategy=strategy,
        precision=precision,
        workers=workers,
        max_time=limit,
        progress=not quiet,
    )
    with _speaking():
        outcome = run(chosen, films, out, resume=resume, machine=machine)
    score = "none" if outcome.val_dice is None else f"{outcome.val_dice:.4f}"
    typer.echo(f"epochs {outcome.epochs_done}, best validation Dice {score}", err=True)
    if not outcome.finished:
        typer.echo(f"time ran out: the same command with --resume goes on from {out}", err=True)
    if outcome.weights.exists():
        typer.echo(outcome.weights)


def duration(text: str) -> timedelta:
    """Read `90m`, `2h`, `1h30m`, `45s` or `1d`.

    Raises:
        UsageError: anything else.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"--max-time must look like 90m, 2h or 1h30m, got '{text}'")
    return timedelta(**{_UNITS[unit]: float(number) for number, unit in parts})


def _films(data: list[Path], layout: str, splits: str | None) -> list[Film]:
    from pleura.lab.data.layouts import read_films

    return [film for path in data for film in read_films(path, layout=layout, split=splits)]


@contextmanager
def _speaking() -> Iterator[None]:
    """Show what the lab logs on stderr, for as long as the block lasts."""
    log, handler = logging.getLogger("pleura"), logging.StreamHandler()
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
