"""The typer application, which loads each command when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from pleura._version import __version__
from pleura.apps.cli.contents import COMMANDS, INTRO, OPTIONS, page

__all__ = ["app"]

_SETTINGS: dict[str, Any] = {"rich_markup_mode": "rich", "pretty_exceptions_enable": False}


class _Pleura(TyperGroup):
    """The root: the module of a command is imported when the command is first looked up.

    Its help is the page that `--help` prints before typer, which takes 0.2 s to import, is loaded.
    """

    def __init__(self, **settings: Any) -> None:
        """Register the names of the commands; no command is loaded."""
        super().__init__(**{**settings, "commands": dict.fromkeys(COMMANDS)})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, loaded now; None for an unknown name."""
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the page is plain
        """Print the first page."""
        typer.echo(page())


def _load(name: str) -> Any:
    """The click command `name`, made by typer from a function or from a typer app."""
    panel, module, attribute, _ = COMMANDS[name]
    command = getattr(import_module(module), attribute)
    around = typer.Typer(add_completion=False, **_SETTINGS)
    around.callback()(lambda: None)  # with a callback it is a group, which keeps names and panels
    if isinstance(command, typer.Typer):
        around.add_typer(command, name=name, rich_help_panel=panel)
    else:
        around.command(rich_help_panel=panel)(command)
    group: Any = get_command(around)
    return group.commands[name]


app = typer.Typer(
    name="pleura",
    cls=_Pleura,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_SETTINGS,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pleura {__version__}")
        raise typer.Exit


@app.callback(help=INTRO)
def _pleura(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=OPTIONS["--version"]),
    ] = False,
) -> None: ...
