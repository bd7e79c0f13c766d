"""What the service counts, for Prometheus. No name, no size of any film: only sums."""

from __future__ import annotations

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pleura.apps.serve.limits import Hold, Line
from pleura.core.arrays import Verdict

__all__ = ["CONTENT_TYPE_LATEST", "Figures"]


class Figures:
    """The counters of one service, in a registry of their own."""

    def __init__(self) -> None:
        """Begin at zero."""
        own = self._registry = CollectorRegistry()
        self.requests = Counter(
            "pleura_requests", "Requests answered.", ["method", "status"], registry=own
        )
        self.films = Counter("pleura_films", "Films, by outcome.", ["outcome"], registry=own)
        self.verdicts = Counter(
            "pleura_verdicts",
            "Films segmented, by Pleura's verdict on its own result.",
            ["verdict"],
            registry=own,
        )
        for each in get_args(Verdict):
            self.verdicts.labels(each)  # there from the start, as zero
        self.seconds = Histogram(
            "pleura_answer_seconds",
            "From the end of an upload to its answer.",
            buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=own,
        )
        self.batch = Histogram(
            "pleura_batch_films",
            "Films the network took at a time.",
            buckets=(1, 2, 4, 8, 16),
            registry=own,
        )

    def watch(self, line: Line, hold: Hold) -> None:
        """Tell how full the queue is, and the memory for uploads."""
        own = self._registry
        films = Gauge("pleura_films_held", "Films accepted and not yet answered.", registry=own)
        films.set_function(lambda: line.held)
        stuck = Gauge("pleura_films_stuck", "Worked on for longer than allowed.", registry=own)
        stuck.set_function(lambda: line.stuck)
        uploads = Gauge("pleura_upload_bytes_held", "Of all requests under way.", registry=own)
        uploads.set_function(lambda: hold.bytes)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
