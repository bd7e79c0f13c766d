"""`pleura runs`: a page that compares training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pleura.apps.learn.evaluation_options import command_line

__all__ = ["runs_app"]

runs_app = typer.Typer(
    no_args_is_help=True,
    help="Compare training runs.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@runs_app.callback()
def _runs() -> None: ...


@runs_app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders that `pleura train` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = Path(
        "runs.html"
    ),
) -> None:
    """Write one page with the scores, curves and recipe differences of runs.

    pleura runs compare runs/first runs/second -o runs.html

    The page needs no other file and no network. Runs that are not finished are
    compared as far as they are.
    """
    from pleura.io.files.atomic import atomic_write
    from pleura.lab.report.runs import compare as page
    from pleura.lab.report.runs import read_run

    text = page([read_run(run) for run in runs], command=command_line())
    with atomic_write(out, "w") as file:
        file.write(text)
    typer.echo(out)
