"""`pleura train`, `ablate` and `export`: from films and a recipe to weights."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import Accept, BatchWorkers, Fold, Layout, NoBar, Splits
from pleura.apps.cli.progress import FilmProgress, console
from pleura.core.errors import UsageError

__all__ = ["MachineOptions", "ablate", "duration", "export", "run_training", "silent", "train"]


if TYPE_CHECKING:
    from pleura.lab.data.film import Film
    from pleura.lab.train.export import Outcome
    from pleura.lab.train.machine import Machine
    from pleura.lab.train.recipe import Recipe
    from pleura.lab.train.records.resume import Resume


_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def _list(wanted: bool) -> None:
    """Print the recipes that ship with Pleura, and end."""
    if not wanted:
        return
    from pleura.lab.train.recipe_files import recipes_folder, shipped_recipes

    recipes = shipped_recipes()
    width = max(map(len, recipes))
    for name, summary in recipes.items():
        typer.echo(f"{name:{width}}  {summary}")
    typer.echo(f"They lie in {recipes_folder()}; copy one to make your own.", err=True)
    raise typer.Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """The device, the precision, and the longest time of a training run."""

    accelerator: Annotated[str, typer.Option(help="auto, cuda, mps or cpu.")] = "auto"
    devices: Annotated[int, typer.Option(min=1, help="Number of devices.")] = 1
    strategy: Annotated[str, typer.Option(help="A strategy of Lightning, e.g. ddp.")] = "auto"
    precision: Annotated[str, typer.Option(help="auto, 32-true, bf16-mixed or 16-mixed.")] = "auto"
    workers: BatchWorkers = 0
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads on a CPU; by default one a core.")
    ] = None
    max_time: Annotated[
        str | None,
        typer.Option(
            help="The longest time, e.g. 90m, 2h or 1h30m: a new run is shortened to it, a run "
            "with --resume stops and can be continued."
        ),
    ] = None
    quiet: NoBar = False

    def limit(self) -> timedelta | None:
        """The time that training may take; `UsageError` for one that cannot be read.

        Call it before torch is imported: it sets how torch's threads wait.
        """
        wait_passively()
        return None if self.max_time is None else duration(self.max_time)

    def machine(self) -> Machine:
        """The machine. Importing Lightning takes seconds, so check other options before."""
        from pleura.lab.train.machine import Machine

        shows_bar = not self.quiet and console().is_terminal
        return Machine(
            accelerator=self.accelerator,
            devices=self.devices,
            strategy=self.strategy,
            precision=self.precision,
            workers=self.workers,
            threads=self.threads,
            max_time=self.limit(),
            progress=shows_bar and not silent(),
            lines=not shows_bar,
        )


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait, unless the environment states another policy.

    On cores that other programs use too, threads that wait actively take twice the time; on free
    cores nothing is lost.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def silent() -> bool:
    """Whether this is a further process of a run on several devices, which prints nothing."""
    return os.environ.get("LOCAL_RANK", "0") != "0"


@grouped
def train(
    recipe: Annotated[
        Path,
        typer.Argument(help="A TOML file, or the name of a recipe that ships, such as seed."),
    ],
    data: Annotated[
        list[Path], typer.Option(help="A folder or manifest of films and masks; repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the run.")],
    *,
    splits: Splits = None,
    fold: Fold = None,
    layout: Layout = "auto",
    accept: Accept = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in OUT.")] = False,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Number of epochs, instead of the recipe's.")
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="An .onnx file to start from, instead of the recipe's."),
    ] = None,
    run_on: MachineOptions,
    shipped: Annotated[  # noqa: ARG001 - its callback ends before
        bool,
        typer.Option(
            "--list",
            callback=_list,
            is_eager=True,
            help="List the recipes that ship with Pleura, and end.",
        ),
    ] = False,
) -> None:
    """Train a network by a recipe.

    pleura train --list
    pleura train seed --data films/ --out runs/first
    pleura train my.toml --data films/ --out runs/mine --resume --max-time 2h

    OUT receives weights/ (for `pleura segment --weights`), checkpoints/, log/ and
    curves.png.
    """
    run_on.limit()
    from pleura.lab.data.layouts import read_sets
    from pleura.lab.train.recipe import load_recipe

    chosen = load_recipe(recipe)
    chosen = chosen if epochs is None else replace(chosen, epochs=epochs)
    chosen = chosen if init is None else replace(chosen, init=init)
    films = read_sets(data, layout=layout, split=splits, fold=fold)
    again: Resume = "extend" if resume and epochs is not None else resume
    run_training(chosen, films, out, resume=again, run_on=run_on, accept=accept)


def run_training(
    recipe: Recipe,
    films: list[Film],
    out: Path,
    *,
    resume: Resume,
    run_on: MachineOptions,
    accept: list[str] | None,
) -> None:
    """Check the films, train, and print the outcome.

    A resumed run, and the first process of a run on several devices, have checked them before.
    """
    if not (silent() or (out / "checkpoints" / "last.ckpt").exists()):
        _require_sound(films, accept, quiet=run_on.quiet)
    from pleura.lab.train.run import train as run

    with _speaking():
        outcome = run(recipe, films, out, resume=resume, machine=run_on.machine())
    _print_outcome(outcome, out)


def _print_outcome(outcome: Outcome, out: Path) -> None:
    if silent():
        return
    score = "none" if outcome.val_dice is None else f"{outcome.val_dice:.4f}"
    typer.echo(f"epochs {outcome.epochs_done}, best validation Dice {score}", err=True)
    if outcome.diverged:
        raise UsageError(
            f"the run diverged, so no weights are written; see {out / 'metrics.csv'}, lower "
            "learning_rate, or check the masks with `pleura data check --with-model`"
        )
    if not outcome.finished:
        typer.echo(
            f"time ran out: the same command with --resume continues the run in {out}", err=True
        )
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


def _require_sound(films: list[Film], accept: list[str] | None, *, quiet: bool) -> None:
    """Check the films to train on, with a progress bar; `DataError` if one has an error."""
    from pleura.lab.data.check import require_sound

    with FilmProgress(len(films), quiet=quiet) as bar:
        bar.say("checking films and masks")
        require_sound(films, accepted=accept or (), on_film=bar.advance)


@contextmanager
def _speaking() -> Iterator[None]:
    """Inside the block, print the log of Pleura on stderr."""
    log, handler = logging.getLogger("pleura"), logging.StreamHandler()
    before = log.level
    log.setLevel(logging.ERROR if silent() else logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def ablate(
    study: Annotated[
        Path,
        typer.Argument(help="A TOML file of arms, or the project's own: ablation/study."),
    ],
    data: Annotated[Path, typer.Option(help="The folder that holds the sets it names.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the runs.")],
    workers: BatchWorkers = 0,
    quiet: NoBar = False,
) -> None:
    """Train every arm of a study with each seed, and compare them on the same test films.

    pleura ablate ablation/study --data films/ -o runs/ablation

    Each arm is a training run, so this takes long. Finished runs are kept, and
    the same command continues. OUT/study.json holds every figure; the table goes
    to stdout.
    """
    wait_passively()
    from pleura.lab.studies.ablation import StudyFolders, load_study, run_study, study_table
    from pleura.lab.train.machine import Machine

    loaded = load_study(study)
    screen = console()
    machine = Machine(workers=workers, progress=not quiet)
    folders = StudyFolders(root=data, out=out, machine=machine)

    def say(title: str) -> None:
        screen.print(title, markup=False)

    results = run_study(loaded, folders, on_run=say)
    typer.echo(study_table(results), nl=False)


def export(
    checkpoint: Annotated[
        Path, typer.Argument(help="A .ckpt of `pleura train`, or an .onnx of fp32 weights.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the files; by default that of the recipe.")
    ] = None,
    head: Annotated[
        int | None, typer.Option(min=1, help="End the network at this head: L1, L2, ...")
    ] = None,
    side: Annotated[
        int | None, typer.Option(min=1, help="Side of the network's square, px.")
    ] = None,
    channel: Annotated[
        list[str] | None, typer.Option(help="Keep only this channel; repeatable.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="The licence that the card states; by default that of CHECKPOINT."),
    ] = None,
) -> None:
    """Export a checkpoint as NAME.onnx, for segmenting and for further training.

    Beside it lies its SHA-256.

    pleura export runs/first/checkpoints/best.ckpt -o weights
    pleura segment films/ --weights weights/first.onnx -o lungs

    A network that ends at an earlier head, or has a smaller input, is faster
    and less exact:

    pleura export weights/first.onnx -o weights --name quick --side 256
    """
    from pleura.lab.train.export import ExportPart, export_checkpoint

    part = ExportPart(head=head, side=side, channels=tuple(channel or ()))
    typer.echo(export_checkpoint(checkpoint, out, name=name, part=part, licence=licence))
