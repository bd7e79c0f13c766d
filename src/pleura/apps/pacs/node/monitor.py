"""The addresses for monitoring a node over HTTP: /healthz, /readyz and /metrics.

The answers contain no patient data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from pleura.apps.pacs.log import LOG, describe_defect
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.reception.scp import DISK
from pleura.apps.pacs.node.status import NodeStatus, read_status
from pleura.apps.pacs.node.worker import SPACE
from pleura.core.errors import UsageError

__all__ = ["Monitor"]

IDLE_S = 10.0
"""The longest silence of a client, seconds."""


class Monitor:
    """The HTTP server of one node; it only reads the queue."""

    def __init__(self, address: tuple[str, int], folder: NodeFolder) -> None:
        """Start to listen.

        Raises:
            UsageError: the port is taken.
        """
        try:
            self._server = _Server(address, _Handler)
        except OSError as error:
            raise UsageError(
                f"cannot listen on {address[0]} port {address[1]}: {error.strerror or error}; "
                "give another --monitor-port or --monitor-host"
            ) from error
        self._server.folder = folder
        self.port = int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    folder: NodeFolder

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log only the place of the error, as the node does everywhere."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            LOG.error("no answer over HTTP: %s", describe_defect(error))


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_S
    server: _Server

    def do_GET(self) -> None:
        """Answer one of the three addresses."""
        answers = {"/healthz": _healthz, "/readyz": _readyz, "/metrics": _metrics}
        make = answers.get(self.path.partition("?")[0])
        if make is None:
            self._answer(HTTPStatus.NOT_FOUND, _json({"addresses": sorted(answers)}))
            return
        try:
            self._answer(*make(read_status(self.server.folder)))
        except UsageError as error:
            answer = _json({"status": "trouble", "troubles": [str(error)]})
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, answer)

    do_HEAD = do_GET  # noqa: N815  # load balancers ask so

    def log_message(self, *_: Any) -> None:
        """Log nothing: monitoring asks every few seconds."""

    def _answer(self, status: HTTPStatus, content: tuple[str, bytes]) -> None:
        media_type, body = content
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _json(answer: dict[str, Any]) -> tuple[str, bytes]:
    return "application/json", json.dumps(answer).encode()


def _healthz(_: NodeStatus) -> tuple[HTTPStatus, tuple[str, bytes]]:
    """The process answers; it ends by itself if one of its threads fails."""
    return HTTPStatus.OK, _json({"status": "ok"})


def _readyz(status: NodeStatus) -> tuple[HTTPStatus, tuple[str, bytes]]:
    """Whether films can be stored and segmented, even if a destination cannot be reached."""
    texts = {entry["place"]: entry["text"] for entry in status.troubles}
    obstacles = [texts[place] for place in (DISK, SPACE) if place in texts]
    if obstacles:
        answer = _json({"status": "trouble", "troubles": obstacles})
        return HTTPStatus.SERVICE_UNAVAILABLE, answer
    return HTTPStatus.OK, _json({"status": "ready"})


def _metrics(status: NodeStatus) -> tuple[HTTPStatus, tuple[str, bytes]]:
    registry = CollectorRegistry()
    registry.register(_NodeCollector(status))
    return HTTPStatus.OK, (CONTENT_TYPE_LATEST, generate_latest(registry))


@dataclass(frozen=True, slots=True, eq=False)
class _NodeCollector(Collector):
    """The status of a node as metrics."""

    status: NodeStatus

    def collect(self) -> Iterator[Metric]:
        status = self.status
        yield _gauge("films", "Films, by state.", "state", status.films)
        yield _counter(
            "events",
            "Duplicates, rejected objects and exceeded limits, by kind.",
            "event",
            status.counts,
        )
        yield _counter("verdicts", "Films segmented, by verdict.", "verdict", status.verdicts)
        yield _gauge("undelivered", "Films to deliver.", "destination", status.waiting)
        yield _gauge(
            "refused", "Films whose results a destination refused.", "destination", status.refusals
        )
        yield _gauge(
            "trouble_seconds",
            "How long a disk or a destination has had a trouble.",
            "place",
            {entry["place"]: entry["since_s"] for entry in status.troubles},
        )
        yield GaugeMetricFamily(
            "pleura_node_oldest_seconds",
            "The age of the oldest film whose results are not all delivered; 0 if there is none.",
            value=status.oldest_s or 0.0,
        )
        yield GaugeMetricFamily(
            "pleura_node_disk_free_bytes", "Free space of the disk.", value=status.free_bytes
        )


def _gauge(name: str, text: str, label: str, values: dict[str, Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"pleura_node_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"pleura_node_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
