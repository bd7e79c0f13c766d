"""A group of options is on the command line what its fields would be, each by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from pleura.apps.cli.option_groups import grouped


@dataclass(frozen=True, kw_only=True)
class Which:
    """A group with an argument, an option and a flag."""

    film: Annotated[str, typer.Argument()]
    side: Annotated[int, typer.Option("--side", min=1)] = 512
    fast: Annotated[bool, typer.Option("--fast")] = False


@grouped
def show(
    which: Which,
    *,
    before: Annotated[str, typer.Option()] = "-",
    after: Annotated[int, typer.Option()],
) -> None:
    """Show what was given."""
    typer.echo(f"{which.film} {which.side} {which.fast} {before} {after}")


app = typer.Typer()
app.command()(show)


def run(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(app, arguments)
    return ended.exit_code, ended.output


def test_the_command_gets_its_group_and_its_own_options() -> None:
    assert run("a.png", "--after", "1") == (0, "a.png 512 False - 1\n")
    ended = run("--fast", "--before", "x", "a.png", "--side", "64", "--after", "2")
    assert ended == (0, "a.png 64 True x 2\n")


def test_a_field_keeps_its_limits_and_an_argument_is_needed() -> None:
    assert run("a.png", "--side", "0", "--after", "1")[0] == 2
    assert run("--after", "1")[0] == 2
    assert run("a.png")[0] == 2, "an option of the command without a default"


def test_help_shows_the_command_with_its_options() -> None:
    code, text = run("--help")
    assert code == 0
    assert "Show what was given." in text
    assert text.index("--side") < text.index("--before")
