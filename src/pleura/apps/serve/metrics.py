"""The counters of the service for Prometheus. They are sums, and contain no names of films."""

from __future__ import annotations

from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pleura.apps.serve.limits.film_queue import FilmQueue
from pleura.apps.serve.limits.upload_memory import UploadMemory
from pleura.core.arrays import Verdict

__all__ = ["CONTENT_TYPE_LATEST", "ServiceMetrics"]


class ServiceMetrics:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "pleura_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=registry,
        )
        self.films = Counter("pleura_films", "Films, by outcome.", ["outcome"], registry=registry)
        self.verdicts = Counter(
            "pleura_verdicts",
            "Films segmented, by Pleura's verdict on its own result.",
            ["verdict"],
            registry=registry,
        )
        for verdict in get_args(Verdict):
            self.verdicts.labels(verdict)  # so that a verdict that never occurred is 0
        self.seconds = Histogram(
            "pleura_answer_seconds",
            "From the end of an upload to its answer.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.batch = Histogram(
            "pleura_batch_films",
            "Films in one call of the network.",
            buckets=(1, 2, 4, 8, 16),
            registry=registry,
        )

        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)

    def describe(self, **labels: str) -> None:
        """Add `pleura_build_info`, with the versions of the service as labels."""
        Info("pleura_build", "Versions of the service.", registry=self._registry).info(labels)

    def watch(self, queue: FilmQueue, memory: UploadMemory) -> None:
        """Add gauges of the queue and of the memory for uploads."""
        registry = self._registry
        films = Gauge(
            "pleura_films_held", "Films accepted and not yet answered.", registry=registry
        )
        films.set_function(lambda: queue.held)
        stuck = Gauge(
            "pleura_films_stuck", "Films worked on for longer than the limit.", registry=registry
        )
        stuck.set_function(lambda: queue.stuck)
        uploads = Gauge(
            "pleura_upload_held_bytes", "Bytes of the uploads of all requests.", registry=registry
        )
        uploads.set_function(lambda: memory.held_bytes)

    def text(self) -> bytes:
        """The counters in Prometheus's text format."""
        return generate_latest(self._registry)
