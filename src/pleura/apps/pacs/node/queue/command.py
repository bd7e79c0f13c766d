"""The commands `pleura node queue`: what an operator sees of the films, and does with them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from pleura.apps.cli.options import AsJson
from pleura.apps.pacs.node.options import HOME, Folder
from pleura.apps.pacs.node.queue.entries import State
from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.apps.pacs.node.folder import NodeFolder
    from pleura.apps.pacs.node.queue.queue import Queue

__all__ = ["queue_app"]

queue_app = typer.Typer(
    no_args_is_help=True,
    help="See and change the films that a node holds: list, show, retry, redeliver, drop."
    "\n\npleura node queue list",
    context_settings={"help_option_names": ["-h", "--help"]},
)

OPEN = (State.waiting, State.segmented, State.failed)
"""The states of films that the node holds on the disk."""

Numbers = Annotated[
    list[int] | None,
    typer.Argument(
        metavar="[FILM]...", help="Numbers of films, as the list and the log show them."
    ),
]
Lacking = Annotated[
    str | None,
    typer.Option(
        metavar="DESTINATION",
        help="All films whose results this destination lacks; as the list shows it.",
    ),
]
Failed = Annotated[bool, typer.Option("--failed", help="All films of the quarantine.")]


@queue_app.command("list")
def list_(
    state: Annotated[
        list[State] | None,
        typer.Option(
            help="Only films in this state; repeatable. Default: all that wait or failed."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most films, oldest first.")] = 100,
    folder: Folder = HOME,
    as_json: AsJson = False,
) -> None:
    """List the films that wait, are not delivered, or failed.

    pleura node queue list
    pleura node queue list --state failed --json

    The node may run or not. No name and no UID is shown.
    """
    from pleura.apps.pacs.node.queue.listing import HEAD, films_in

    states = tuple(state or OPEN)
    with _opened(folder) as (queue, _), queue.change() as base:
        films = films_in(base, states, limit=limit + 1)
    shown = films[:limit]
    if as_json:
        more = len(films) > limit
        typer.echo(json.dumps({"films": [film.as_json() for film in shown], "more": more}))
        return
    typer.echo("\n".join([HEAD, *(film.summary() for film in shown)]) if shown else "no films")
    if len(films) > limit:
        typer.echo(f"pleura: there are more films; --limit shows more than {limit}", err=True)


@queue_app.command()
def show(
    film: Annotated[int | None, typer.Argument(metavar="[FILM]", help="Number of a film.")] = None,
    uid: Annotated[
        str | None, typer.Option(help="Its SOPInstanceUID, instead of a number.")
    ] = None,
    folder: Folder = HOME,
    as_json: AsJson = False,
) -> None:
    """Show one film: its state, its failure, and the destinations that lack its results.

    pleura node queue show 17
    pleura node queue show --uid 1.2.840.113619.2.1

    With --uid it answers whether a film ever arrived: the queue holds a hash of
    each UID.
    """
    from pleura.apps.pacs.node.queue.listing import film_by_number, film_lines, number_of_uid

    if (film is None) == (uid is None):
        raise UsageError("give the number of one film, or its --uid")
    with _opened(folder) as (queue, _), queue.change() as base:
        number = number_of_uid(base, uid.strip()) if uid is not None else film
        entry = film_by_number(base, number or 0)
    typer.echo(json.dumps(entry.as_json()) if as_json else "\n".join(film_lines(entry)))


@queue_app.command()
def retry(films: Numbers = None, failed: Failed = False, folder: Folder = HOME) -> None:
    """Try films again now: those that failed, and results that were refused.

    pleura node queue retry 17 18
    pleura node queue retry --failed

    A failed film waits for the network again, and its failures are forgotten.
    Refused results are sent at once, instead of after the pause.
    """
    from pleura.apps.pacs.node.queue.operate import retry

    with _opened(folder) as (queue, _):
        _print_lines(retry(queue, _numbers(queue, films, failed=failed)))


@queue_app.command()
def redeliver(
    films: Numbers = None,
    lacking: Lacking = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="AE@HOST:PORT|URL",
            help="Send them here too, or instead with --lacking. Start the node with this --to.",
        ),
    ] = None,
    folder: Folder = HOME,
) -> None:
    """Send all results of films that are not delivered again, also what was confirmed.

    pleura node queue redeliver 17
    pleura node queue redeliver --lacking PACS@old:104 --to PACS@new:104

    The second line is for an archive that has moved: results for its old address
    would wait for ever.
    """
    from pleura.apps.pacs.addresses import read_address
    from pleura.apps.pacs.node.queue.operate import redeliver

    name = None if to is None else read_address(to).name
    with _opened(folder) as (queue, _):
        numbers = _numbers(queue, films, lacking=lacking)
        _print_lines(redeliver(queue, numbers, lacking=lacking, to=name))


@queue_app.command()
def drop(
    films: Numbers = None,
    failed: Failed = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    folder: Folder = HOME,
) -> None:
    """Give films up: delete their pixels and results, and send nothing any more.

    pleura node queue drop 17
    pleura node queue drop --failed --yes

    It asks before it deletes. The sender may hold no copy: it was told that the
    film is stored. A dropped film that is sent again is segmented as a new one.
    """
    from pleura.apps.pacs.node.queue.operate import drop

    with _opened(folder) as (queue, node_folder):
        numbers = _numbers(queue, films, failed=failed)
        if not yes:
            _ask(numbers)
        _print_lines(drop(queue, node_folder, numbers))


@contextmanager
def _opened(folder: Folder) -> Iterator[tuple[Queue, NodeFolder]]:
    from pleura.apps.pacs.node.options import DiskOptions
    from pleura.apps.pacs.node.queue.operate import open_queue

    node_folder = DiskOptions(folder=folder).node_folder()
    os.umask(0o077)  # SQLite may make files, which only the owner may read
    with open_queue(node_folder) as queue:
        yield queue, node_folder


def _numbers(
    queue: Queue, films: list[int] | None, *, failed: bool = False, lacking: str | None = None
) -> list[int]:
    """The numbers that were named; `UsageError` if none was."""
    if not films and not failed and lacking is None:
        raise UsageError(
            "no film is named; give numbers of films, which `pleura node queue list` shows"
        )
    with queue.change() as base:
        rows = base.execute(
            "SELECT number FROM films WHERE state = 'failed' AND ?"
            " UNION SELECT number FROM deliveries WHERE destination = ? ORDER BY number",
            (failed, lacking),
        ).fetchall()
    return [*(films or ()), *(row[0] for row in rows)]


def _ask(numbers: list[int]) -> None:
    """Ask whether to delete; `UsageError` if nobody can answer, or the answer is no."""
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError("nobody can be asked here; give --yes to delete the films")
    named = ", ".join(map(str, numbers))
    if not typer.confirm(f"Delete the pixels and results of film {named}?", err=True):
        raise UsageError("nothing was changed")


def _print_lines(lines: list[str]) -> None:
    typer.echo("\n".join(lines) or "no films")
