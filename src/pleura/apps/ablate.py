"""`pleura ablate`: recipes against each other on the same films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pleura.apps.options import BatchWorkers, NoBar
from pleura.apps.progress import console

__all__ = ["ablate"]


def ablate(
    study: Annotated[
        Path,
        typer.Argument(help="A TOML file of arms, or the project's own: ablation/study."),
    ],
    data: Annotated[Path, typer.Option(help="The folder that holds the sets it names.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the runs are kept.")],
    workers: BatchWorkers = 0,
    quiet: NoBar = False,
) -> None:
    """Train every arm of a study once a seed, score all on the same test films, compare.

    pleura ablate ablation/study --data films/ -o runs/ablation

    Long: each arm is a training run. What is done is kept; the same command goes on.
    OUT/study.json holds every figure; the table goes to stdout.
    """
    from pleura.lab.studies.ablation import Place, load_study, run_study, study_table
    from pleura.lab.train.run import Machine

    asked = load_study(study)
    screen = console()
    machine = Machine(workers=workers, progress=not quiet)
    place = Place(root=data, out=out, machine=machine)

    def say(title: str) -> None:
        screen.print(title, markup=False)

    told = run_study(asked, place, on_run=say)
    typer.echo(study_table(told), nl=False)
