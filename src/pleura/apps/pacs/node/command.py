"""`pleura node`: a DICOM node that films are sent to, and that sends their lungs on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pleura.apps.cli.option_groups import grouped
from pleura.apps.cli.options import SENT, AsJson
from pleura.apps.pacs.options import ResultOptions
from pleura.core.errors import UsageError

__all__ = ["node_app"]

node_app = typer.Typer(invoke_without_command=True)

_WHO: dict[str, Any] = {"rich_help_panel": "Who may send"}
_DISK: dict[str, Any] = {"rich_help_panel": "Disk"}
_TLS: dict[str, Any] = {"rich_help_panel": "TLS"}

Folder = Annotated[
    Path,
    typer.Option(
        envvar="PLEURA_NODE", help="Where the queue lies; closed to other users.", **_DISK
    ),
]
HOME = Path("~/.pleura/node")


@node_app.callback()
@grouped
def node(
    context: typer.Context,
    *,
    ae: Annotated[str, typer.Option(help="Our own AE title.", **_WHO)] = "PLEURA",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="To listen on; 0 takes a free one.", **_WHO)
    ] = 11112,
    host: Annotated[str, typer.Option(help="The address to listen on.", **_WHO)] = "0.0.0.0",
    senders: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="AE[@HOST]",
            help="Who may send, and from where only; repeatable.",
            **_WHO,
        ),
    ] = None,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Take films from everybody.", **_WHO)
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AE@HOST:PORT|URL",
            help="Where results go: a DICOM node (tls:AE@HOST:PORT over TLS), or a DICOMweb "
            "service by its URL; repeatable.",
            **SENT,
        ),
    ] = None,
    wanted: ResultOptions,
    retry: Annotated[
        float, typer.Option(min=0.1, help="Longest pause between two tries, seconds.", **SENT)
    ] = 300.0,
    folder: Folder = HOME,
    keep_free: Annotated[
        int, typer.Option(min=0, help="MB of the disk that films must leave.", **_DISK)
    ] = 500,
    quota: Annotated[
        int | None, typer.Option(min=1, help="MB that the folder may take.", **_DISK)
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Our certificate, PEM; films come over TLS then.", **_TLS)
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its key, where it is not in the same file.", **_TLS)
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="Who must have signed the others' certificates, PEM.", **_TLS),
    ] = None,
) -> None:
    """A DICOM node: takes films, sends their lungs back as SEG, SR and SC.

    pleura node --from ORTHANC --to ORTHANC@pacs:4242
    pleura node --from ROUTER@10.0.0.5 --to https://pacs/dicom-web
    pleura node status

    A film is acknowledged once it is on the disk, and its results are sent until
    the destination has them; then its pixels are deleted. Runs until Ctrl-C or
    SIGTERM. Not for diagnosis.
    """
    if context.invoked_subcommand:
        return
    from pleura.apps.pacs.addresses import Settings, Tls, check_ae, read_address, read_senders
    from pleura.apps.pacs.node.folder import NodeFolder, Space

    if not to:
        raise UsageError("results have nowhere to go: give --to AE@HOST:PORT or --to https://...")
    settings = Settings(
        ae=check_ae(ae),
        host=host,
        port=port,
        senders=read_senders(senders or (), anyone=anyone),
        addresses=tuple(read_address(each) for each in dict.fromkeys(to)),
        formats=wanted.names(),
        tls=Tls(tls_cert, tls_key, tls_ca),
        longest_wait_s=retry,
    )
    place = NodeFolder(folder.expanduser())
    os.umask(0o077)  # whatever is written now is the owner's alone, SQLite's files too
    place.make()
    space = Space(
        place.root,
        keep_free=keep_free * 1_000_000,
        quota=None if quota is None else quota * 1_000_000,
    )
    _run(settings, place, space, wanted)


@node_app.command()
def status(
    folder: Folder = HOME,
    as_json: AsJson = False,
) -> None:
    """What a node has done, has yet to do, and cannot do; it may be running or not.

    pleura node status
    """
    from pleura.apps.pacs.node.folder import NodeFolder
    from pleura.apps.pacs.node.status import read_status, tell, told

    found = read_status(NodeFolder(folder.expanduser()))
    if as_json:
        typer.echo(json.dumps(told(found)))
    else:
        typer.echo("\n".join(tell(found)))


def _run(settings: Any, place: Any, space: Any, wanted: ResultOptions) -> None:
    from pleura.apps.cli.progress import Interrupt
    from pleura.apps.pacs.log import logging_to_stderr
    from pleura.apps.pacs.node.node import run_node

    make = wanted.maker().files
    with place.held(), logging_to_stderr(), Interrupt() as interrupt:
        run_node(settings, place, space=space, make=make, stopped=lambda: interrupt.requested)
    typer.echo("pleura: ended; whatever is left is done at the next start", err=True)
