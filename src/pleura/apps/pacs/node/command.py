"""The command `pleura node`: a DICOM node that receives films and sends their lungs on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pleura.apps.cli.options import (
    SENT,
    DicomFormats,
    Lungs,
    LungsOption,
    OfRefused,
    RefusedOption,
    Threads,
    Weights,
)
from pleura.core.errors import UsageError

__all__ = ["node_app"]

node_app = typer.Typer(invoke_without_command=True)

_WHO: dict[str, Any] = {"rich_help_panel": "Who may send"}
_DISK: dict[str, Any] = {"rich_help_panel": "Disk"}
_TLS: dict[str, Any] = {"rich_help_panel": "TLS"}

Folder = Annotated[
    Path,
    typer.Option(envvar="PLEURA_NODE", help="Folder of the queue; closed to other users.", **_DISK),
]
HOME = Path("~/.pleura/node")


@node_app.callback()
def node(
    context: typer.Context,
    ae: Annotated[str, typer.Option(help="The AE title of this node.", **_WHO)] = "PLEURA",
    port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.", **_WHO),
    ] = 11112,
    host: Annotated[str, typer.Option(help="The address to listen on.", **_WHO)] = "0.0.0.0",
    senders: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="AE[@HOST]",
            help="A sender to accept, from this host only if one is given; repeatable.",
            **_WHO,
        ),
    ] = None,
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Accept films from every sender.", **_WHO)
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
    formats: DicomFormats = None,
    refused: RefusedOption = OfRefused.marked,
    retry: Annotated[
        float, typer.Option(min=0.1, help="Longest pause between two tries, seconds.", **SENT)
    ] = 300.0,
    folder: Folder = HOME,
    keep_free: Annotated[
        int, typer.Option(min=0, help="MB of the disk to keep free.", **_DISK)
    ] = 500,
    quota: Annotated[
        int | None, typer.Option(min=1, help="MB that the folder may take.", **_DISK)
    ] = None,
    lungs: LungsOption = Lungs.field,
    weights: Weights = None,
    threads: Threads = None,
    tls_cert: Annotated[
        Path | None,
        typer.Option(
            help="The certificate of this node, PEM; films are then received over TLS.", **_TLS
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its key, if it is not in the same file.", **_TLS)
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="The authority that signed the others' certificates, PEM.", **_TLS),
    ] = None,
) -> None:
    """Run a DICOM node: receive films, send their lungs as SEG, SR and SC.

    pleura node --from ORTHANC --to ORTHANC@pacs:4242
    pleura node --from ROUTER@10.0.0.5 --to https://pacs/dicom-web
    pleura node status

    A film is acknowledged when it is on the disk. Its results are sent until the
    destination has them; then its pixels are deleted. Runs until Ctrl-C or
    SIGTERM. Not for diagnosis.
    """
    if context.invoked_subcommand:
        return
    from pleura.apps.pacs.addresses import Settings, Tls, check_ae, read_address, read_senders
    from pleura.apps.pacs.node.folder import NodeFolder, Space
    from pleura.apps.pacs.results import read_formats

    if not to:
        raise UsageError("results have nowhere to go: give --to AE@HOST:PORT or --to https://...")
    settings = Settings(
        ae=check_ae(ae),
        host=host,
        port=port,
        senders=read_senders(senders or (), anyone=anyone),
        addresses=tuple(read_address(text) for text in dict.fromkeys(to)),
        formats=read_formats(formats),
        tls=Tls(tls_cert, tls_key, tls_ca),
        longest_wait_s=retry,
    )
    node_folder = NodeFolder(folder.expanduser())
    os.umask(0o077)  # only the owner can read new files, also those of SQLite
    node_folder.make()
    space = Space(
        node_folder.root,
        keep_free=keep_free * 1_000_000,
        quota=None if quota is None else quota * 1_000_000,
    )
    _run(settings, node_folder, space, (weights, threads, lungs.value, refused.value))


@node_app.command()
def status(
    folder: Folder = HOME,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what a node has done, has yet to do, and cannot do.

    The node may run or not.

    pleura node status
    """
    from pleura.apps.pacs.node.folder import NodeFolder
    from pleura.apps.pacs.node.status import read_status, status_dict, status_lines

    node_status = read_status(NodeFolder(folder.expanduser()))
    if as_json:
        typer.echo(json.dumps(status_dict(node_status)))
    else:
        typer.echo("\n".join(status_lines(node_status)))


def _run(
    settings: Any, folder: Any, space: Any, network: tuple[Path | None, int | None, Any, Any]
) -> None:
    from pleura.apps.cli.engines import open_engine
    from pleura.apps.cli.progress import Interrupt
    from pleura.apps.pacs.log import logging_to_stderr
    from pleura.apps.pacs.node.node import run_node
    from pleura.apps.pacs.results import ResultMaker
    from pleura.runtime.segmenter import Segmenter

    weights, threads, definition, refused = network
    segmenter = Segmenter(open_engine(weights, threads=threads), definition=definition)
    make = ResultMaker(segmenter, settings.formats, refused).files
    with folder.held(), logging_to_stderr(), Interrupt() as interrupt:
        run_node(settings, folder, space=space, make=make, stopped=lambda: interrupt.requested)
    typer.echo("pleura: ended; whatever is left is done at the next start", err=True)
