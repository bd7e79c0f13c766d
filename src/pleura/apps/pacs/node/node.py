"""The node: receives, segments and delivers on threads of its own, until it is told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from pleura.apps.pacs.addresses import Settings
from pleura.apps.pacs.destinations import open_destination
from pleura.apps.pacs.log import LOG
from pleura.apps.pacs.node.delivery import Delivery
from pleura.apps.pacs.node.folder import NodeFolder, Space
from pleura.apps.pacs.node.queue import Queue
from pleura.apps.pacs.node.scp import DISK, Reception, Scp
from pleura.apps.pacs.node.worker import SPACE, Worker
from pleura.apps.pacs.results import Made

__all__ = ["run_node"]

GRACE_S = 10.0
"""For associations on their way when the node is told to stop."""

FINISH_S = 60.0
"""For the film that is being segmented, and for what is being delivered."""


def run_node(
    settings: Settings,
    folder: NodeFolder,
    *,
    space: Space,
    make: Callable[[Path], Made],
    stopped: Callable[[], bool],
) -> None:
    """Run a node in `folder`, which is held, until `stopped()`.

    `make` takes a film's file to its results.

    Raises:
        UsageError: the port is taken, the TLS files or the queue cannot be used.
        WeightsError: the network answers nonsense; films wait in the queue.
    """
    queue = Queue(folder.queue)
    stopping, films = threading.Event(), threading.Event()
    deliveries = _deliveries(settings, queue, folder, stopping)
    worker = Worker(
        queue=queue,
        folder=folder,
        make=make,
        destinations=[each.name for each in settings.addresses],
        wake=films,
        space=space,
        made=lambda: _set(each.wake for each in deliveries),
        stopping=stopping,
    )
    scp = Scp(settings, Reception(queue, folder, space, arrived=films.set))
    _begin(queue, folder)
    threads = [_Running(each) for each in (worker.run, scp.serve, *(d.run for d in deliveries))]
    for running in threads:
        running.start()
    LOG.info("%s listens on %s port %d", settings.ae, settings.host, scp.port)
    while not stopped() and all(running.is_alive() for running in threads):
        time.sleep(0.1)
    LOG.info("stopping")
    scp.stop(grace_s=GRACE_S)
    stopping.set()
    _set([films, *(each.wake for each in deliveries)])
    _join(threads)
    queue.close()
    for running in threads:
        if running.error is not None:
            raise running.error


def _deliveries(
    settings: Settings, queue: Queue, folder: NodeFolder, stopping: threading.Event
) -> list[Delivery]:
    """One for each address that results go to."""
    return [
        Delivery(
            queue=queue,
            folder=folder,
            name=each.name,
            destination=open_destination(each, ae=settings.ae, tls=settings.tls),
            wake=threading.Event(),
            stopping=stopping,
            longest_wait_s=settings.longest_wait_s,
        )
        for each in settings.addresses
    ]


def _begin(queue: Queue, folder: NodeFolder) -> None:
    """Put in order what an earlier run left, however it ended."""
    for place in (DISK, SPACE):
        queue.no_trouble(place)
    removed = folder.tidy(*queue.held())
    if removed:
        LOG.info("removed %d files that an earlier run had not finished", removed)


class _Running(threading.Thread):
    """A part of the node at work; what ends it too early is kept."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self._work = work

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # the node stops, and says so
            self.error = error


def _set(events: Iterable[threading.Event]) -> None:
    for each in events:
        each.set()


def _join(threads: Iterable[threading.Thread]) -> None:
    end = time.monotonic() + FINISH_S
    for each in threads:
        each.join(max(0.0, end - time.monotonic()))
