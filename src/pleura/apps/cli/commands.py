"""The commands as typer has them, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

import pleura
from pleura.apps.cli.contents import COMMANDS, INTRO, OPTIONS, page

__all__ = ["app"]

_SETTINGS: dict[str, Any] = {"rich_markup_mode": "rich", "pretty_exceptions_enable": False}


class _Commands(MutableMapping[str, Any]):
    """Commands by name; the module of one is imported when it is first looked up."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = dict.fromkeys(COMMANDS)

    def __getitem__(self, name: str) -> Any:
        if self._loaded[name] is None:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class _Pleura(TyperGroup):
    """The root: its commands are loaded late, and its help is the same page `--help` gives."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": _Commands()})

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the page is plain
        typer.echo(page())


def _load(name: str) -> Any:
    """The command `name`, as typer makes it of a function or of an app of its own."""
    panel, module, attribute, _ = COMMANDS[name]
    found = getattr(import_module(module), attribute)
    around = typer.Typer(add_completion=False, **_SETTINGS)
    around.callback()(lambda: None)  # with a callback it is a group, which keeps names and panels
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, rich_help_panel=panel)
    else:
        around.command(rich_help_panel=panel)(found)
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
        typer.echo(f"pleura {pleura.__version__}")
        raise typer.Exit


@app.callback(help=INTRO)
def _pleura(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help=OPTIONS["--version"]),
    ] = False,
) -> None: ...
