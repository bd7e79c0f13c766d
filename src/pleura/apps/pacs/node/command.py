"""The command `pleura node`: a DICOM node that receives films and sends their lungs on."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import typer

from pleura.apps.cli.exit_codes import Exit
from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import AsJson
from pleura.apps.pacs.node.options import (
    HOME,
    Commit,
    DiskOptions,
    FilmTimeout,
    Folder,
    ListenOptions,
    MonitorOptions,
    Retry,
    TlsOptions,
    To,
)
from pleura.apps.pacs.node.queue.command import queue_app
from pleura.apps.pacs.node.watchdog import FILM_S
from pleura.apps.pacs.options import ResultOptions
from pleura.core.errors import UsageError

__all__ = ["node_app"]

node_app = typer.Typer(invoke_without_command=True)
node_app.add_typer(queue_app, name="queue")


@node_app.callback()
@grouped
def node(
    context: typer.Context,
    listen: ListenOptions,
    *,
    to: To = None,
    wanted: ResultOptions,
    film_timeout: FilmTimeout = FILM_S,
    retry: Retry = 300.0,
    commit: Commit = False,
    disk: DiskOptions,
    tls: TlsOptions,
    monitor: MonitorOptions,
) -> None:
    """Run a DICOM node: receive films, send their lungs as SEG, SR and SC.

    pleura node --from ORTHANC --to ORTHANC@pacs:4242
    pleura node --from ROUTER@10.0.0.5 --to https://pacs/dicom-web
    pleura node status
    pleura node queue list

    A film is acknowledged when it is on the disk. Its results are sent until the
    destination has them; then its pixels are deleted. Runs until Ctrl-C or
    SIGTERM. Not for diagnosis.
    """
    if context.invoked_subcommand:
        _check_no_options(context)
        return
    from pleura.apps.pacs.addresses import Settings, check_ae, read_address

    if not to:
        raise UsageError("results have nowhere to go: give --to AE@HOST:PORT or --to https://...")
    addresses = tuple(read_address(text) for text in dict.fromkeys(to))
    senders = listen.senders()
    settings = Settings(
        ae=check_ae(listen.ae),
        host=listen.host,
        port=listen.port,
        senders=senders.with_nodes(addresses) if commit else senders,
        addresses=addresses,
        formats=wanted.names(),
        tls=tls.tls(),
        longest_wait_s=retry,
        film_s=film_timeout,
        commit=commit,
        monitor=monitor.address(),
    )
    node_folder = disk.node_folder()
    os.umask(0o077)  # only the owner can read new files, also those of SQLite
    node_folder.make()
    _run(settings, node_folder, disk.space(node_folder.root), wanted)


@node_app.command()
def status(folder: Folder = HOME, as_json: AsJson = False) -> None:
    """Show what a node has done, has yet to do, and cannot do.

    pleura node status
    pleura node status --json

    The exit code is 6 if the node does not run, if its disk or a destination has
    a trouble, or if a destination refuses results; stderr says which.
    """
    from pleura.apps.pacs.node.status import problems, read_status, status_dict, status_lines

    node_status = read_status(DiskOptions(folder=folder).node_folder())
    if as_json:
        typer.echo(json.dumps(status_dict(node_status)))
    else:
        typer.echo("\n".join(status_lines(node_status)))
    for problem in problems(node_status):
        typer.echo(f"pleura: {problem}", err=True)
    if problems(node_status):
        raise typer.Exit(Exit.NODE_TROUBLE)


def _check_no_options(context: typer.Context) -> None:
    """`UsageError` for an option before the subcommand, which the subcommand would not see."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"--{name.strip('_').replace('_', '-')} is given before "
                f"'{context.invoked_subcommand}', where it has no effect; give options after it"
            )


def _run(settings: Any, folder: Any, space: Any, wanted: ResultOptions) -> None:
    from pleura.apps.cli.progress import Interrupt
    from pleura.apps.pacs.log import logging_to_stderr
    from pleura.apps.pacs.node.node import run_node
    from pleura.io.decoder_process import stop_decoders

    maker = wanted.maker()
    with folder.held(), logging_to_stderr(), Interrupt() as interrupt:
        again = run_node(
            settings, folder, space=space, maker=maker, stopped=lambda: interrupt.requested
        )
    if again:
        stop_decoders()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    typer.echo("pleura: ended; the remaining work is done at the next start", err=True)
