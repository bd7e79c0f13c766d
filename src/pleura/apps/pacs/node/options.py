"""The options of `pleura node`, in the groups of its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pleura.apps.cli.options import COMPUTED, SENT, port_option

if TYPE_CHECKING:
    from pleura.apps.pacs.addresses import Senders, Tls
    from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder

__all__ = [
    "HOME",
    "Commit",
    "DiskOptions",
    "FilmTimeout",
    "Folder",
    "ListenOptions",
    "MonitorOptions",
    "Retry",
    "TlsOptions",
    "To",
]

_WHO: dict[str, Any] = {"rich_help_panel": "Who may send"}
_DISK: dict[str, Any] = {"rich_help_panel": "Disk"}
_WATCHED: dict[str, Any] = {"rich_help_panel": "Monitoring"}
_TLS: dict[str, Any] = {"rich_help_panel": "TLS"}

HOME = Path("~/.pleura/node")
"""The folder of the node, if none is named."""

Folder = Annotated[
    Path,
    typer.Option(envvar="PLEURA_NODE", help="Folder of the queue; closed to other users.", **_DISK),
]
To = Annotated[
    list[str] | None,
    typer.Option(
        metavar="AE@HOST:PORT|URL",
        help="Where results go: a DICOM node (tls:AE@HOST:PORT over TLS), or a DICOMweb "
        "service by its URL; repeatable.",
        **SENT,
    ),
]
Commit = Annotated[
    bool,
    typer.Option(
        "--commit",
        help="Ask DICOM nodes for storage commitment; results are kept until it is given.",
        **SENT,
    ),
]
FilmTimeout = Annotated[
    float,
    typer.Option(
        min=1.0,
        help="Longest time for one film, seconds; then it fails, and the node starts again.",
        **COMPUTED,
    ),
]
Retry = Annotated[
    float, typer.Option(min=0.1, help="Longest pause between two tries, seconds.", **SENT)
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """The address of the node, and who may send films to it."""

    ae: Annotated[str, typer.Option(help="AE title of this node.", **_WHO)] = "PLEURA"
    port: Annotated[int, port_option("Port to listen on; 0 takes a free one.", _WHO)] = 11112
    host: Annotated[str, typer.Option(help="Address to listen on.", **_WHO)] = "0.0.0.0"
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="AE[@HOST]",
            help="A sender to accept, from this host only if one is named; repeatable.",
            **_WHO,
        ),
    ] = None
    anyone: Annotated[
        bool, typer.Option("--anyone", help="Accept films from every sender.", **_WHO)
    ] = False

    def senders(self) -> Senders:
        """The accepted senders; `UsageError` if there are none."""
        from pleura.apps.pacs.addresses import read_senders

        return read_senders(self.from_ or (), anyone=self.anyone)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOptions:
    """Where films wait, and how much of the disk they may take."""

    folder: Folder = HOME
    keep_free: Annotated[int, typer.Option(min=0, help="MB of the disk to keep free.", **_DISK)] = (
        500
    )
    quota: Annotated[
        int | None, typer.Option(min=1, help="MB that the folder may take.", **_DISK)
    ] = None

    def node_folder(self) -> NodeFolder:
        """The folder, which may not exist yet."""
        from pleura.apps.pacs.node.folder import NodeFolder

        return NodeFolder(self.folder.expanduser())

    def space(self, root: Path) -> DiskSpace:
        """The limits in bytes, for the folder at `root`."""
        from pleura.apps.pacs.node.disk_space import DiskSpace

        quota = None if self.quota is None else self.quota * 1_000_000
        return DiskSpace(root, keep_free=self.keep_free * 1_000_000, quota=quota)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorOptions:
    """Where a monitoring system asks the node."""

    monitor_port: Annotated[
        int | None,
        port_option("Port of /healthz, /readyz and /metrics over HTTP; none by default.", _WATCHED),
    ] = None
    monitor_host: Annotated[str, typer.Option(help="Address of that port.", **_WATCHED)] = (
        "127.0.0.1"
    )

    def address(self) -> tuple[str, int] | None:
        """Host and port; None without a port."""
        return None if self.monitor_port is None else (self.monitor_host, self.monitor_port)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """The certificates; with one for this node, films are received over TLS."""

    tls_cert: Annotated[
        Path | None,
        typer.Option(help="Certificate of this node, PEM; films then come over TLS.", **_TLS),
    ] = None
    tls_key: Annotated[
        Path | None, typer.Option(help="Its key, if it is not in the same file.", **_TLS)
    ] = None
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="Authority that signed the certificates of the others, PEM.", **_TLS),
    ] = None

    def tls(self) -> Tls:
        """The three files."""
        from pleura.apps.pacs.addresses import Tls

        return Tls(self.tls_cert, self.tls_key, self.tls_ca)
