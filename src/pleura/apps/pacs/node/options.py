"""The options of `pleura node`, in the groups of its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pleura.apps.cli.options import Panel, port_option

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

HOME = Path("~/.pleura/node")
"""The folder of the node, if none is named."""

Folder = Annotated[
    Path,
    Panel.DISK.option(envvar="PLEURA_NODE", help="Folder of the queue; closed to other users."),
]
To = Annotated[
    list[str] | None,
    Panel.SENT.option(
        metavar="AE@HOST:PORT|URL",
        help="Where results go: a DICOM node (tls:AE@HOST:PORT over TLS), or a DICOMweb "
        "service by its URL; repeatable.",
    ),
]
Commit = Annotated[
    bool,
    Panel.SENT.option(
        "--commit",
        help="Ask DICOM nodes for storage commitment; results are kept until it is given.",
    ),
]
FilmTimeout = Annotated[
    float,
    Panel.COMPUTED.option(
        min=1.0,
        help="Longest time for one film, seconds; then it fails, and the node restarts.",
    ),
]
Retry = Annotated[
    float, Panel.SENT.option(min=0.1, help="Longest pause between two tries, seconds.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """The address of the node, and who may send films to it."""

    ae: Annotated[str, Panel.SENDERS.option(help="AE title of this node.")] = "PLEURA"
    port: Annotated[int, port_option("Port to listen on; 0 takes a free one.", Panel.SENDERS)] = (
        11112
    )
    host: Annotated[str, Panel.SENDERS.option(help="Address to listen on.")] = "0.0.0.0"
    from_: Annotated[
        list[str] | None,
        Panel.SENDERS.option(
            "--from",
            metavar="AE[@HOST]",
            help="A sender to accept, from this host only if one is named; repeatable.",
        ),
    ] = None
    anyone: Annotated[
        bool, Panel.SENDERS.option("--anyone", help="Accept films from every sender.")
    ] = False

    def senders(self) -> Senders:
        """The accepted senders; `UsageError` if there are none."""
        from pleura.apps.pacs.addresses import read_senders

        return read_senders(self.from_ or (), anyone=self.anyone)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskOptions:
    """Where films wait, and how much of the disk they may take."""

    folder: Folder = HOME
    keep_free: Annotated[int, Panel.DISK.option(min=0, help="MB of the disk to keep free.")] = 500
    quota: Annotated[int | None, Panel.DISK.option(min=1, help="MB that the folder may take.")] = (
        None
    )

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
        port_option(
            "Port of /healthz, /readyz and /metrics over HTTP; none by default.", Panel.MONITORING
        ),
    ] = None
    monitor_host: Annotated[str, Panel.MONITORING.option(help="Address of that port.")] = (
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
        Panel.TLS.option(help="Certificate of this node, PEM; films then come over TLS."),
    ] = None
    tls_key: Annotated[
        Path | None, Panel.TLS.option(help="Its key, if it is not in the same file.")
    ] = None
    tls_ca: Annotated[
        Path | None,
        Panel.TLS.option(help="Authority that signed the certificates of the others, PEM."),
    ] = None

    def tls(self) -> Tls:
        """The three files."""
        from pleura.apps.pacs.addresses import Tls

        return Tls(self.tls_cert, self.tls_key, self.tls_ca)
