"""The command line: what the commands are called, and how every one of them ends."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from typer.main import get_command

import pleura
from pleura.apps.ablate import ablate
from pleura.apps.answers import Exit, answer
from pleura.apps.bench import bench, card
from pleura.apps.calibrate import calibrate
from pleura.apps.data import data_app
from pleura.apps.dicomweb import dicomweb
from pleura.apps.doctor import doctor
from pleura.apps.evaluate import evaluate
from pleura.apps.export import export
from pleura.apps.extras import missing_package
from pleura.apps.info import info
from pleura.apps.node.command import node_app
from pleura.apps.phantom import phantom
from pleura.apps.quantise import quantise
from pleura.apps.robustness import robustness
from pleura.apps.segment import segment
from pleura.apps.serve.command import serve
from pleura.apps.train import train
from pleura.core.errors import PleuraError

__all__ = ["app", "main"]

app = typer.Typer(
    name="pleura",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pleura {pleura.__version__}")
        raise typer.Exit


@app.callback()
def _pleura(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which one.")
    ] = False,
) -> None:
    """Finds the lungs in frontal chest radiographs, on a plain CPU.

    pleura segment films/ -o lungs   masks and a table, for a folder of films
    pleura serve                     the same in the browser, and over HTTP
    pleura node                      the same for a PACS, over DICOM
    pleura phantom -o film.png       a drawn film to try it on
    pleura doctor                    is everything here?

    Exit codes: 0 done, 1 unexpected, 2 wrong usage, 3 some films failed and
    the rest is written, 5 weights missing or altered, 130 interrupted.
    """


LEARN = "Learn (pip install pleura\\[train])"

COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Use": (segment, serve, dicomweb, phantom, info, doctor),
    LEARN: (train, ablate, evaluate, robustness, calibrate, bench, card, export, quantise),
}

for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(node_app, name="node", rich_help_panel="Use")
app.add_typer(data_app, name="data", rich_help_panel=LEARN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (of `sys.argv` if None); give the exit code.

    The one place where errors become exit codes; their text goes to stderr.
    """
    try:
        get_command(app)(arguments, prog_name="pleura")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    except ModuleNotFoundError as error:
        return _end(missing_package(error) or error)
    except (KeyboardInterrupt, Exception) as error:
        return _end(error)
    return Exit.DONE


def _end(error: BaseException) -> int:
    """Say what went wrong, for people; a traceback only where the fault is ours."""
    if isinstance(error, PleuraError | OSError):
        typer.echo(f"pleura: {error}", err=True)
    elif isinstance(error, KeyboardInterrupt):
        typer.echo("pleura: interrupted", err=True)
    else:
        traceback.print_exception(error, file=sys.stderr)
        typer.echo(
            f"pleura {pleura.__version__}: this is a defect; please report it with the lines above",
            err=True,
        )
    return answer(error).exit_code
