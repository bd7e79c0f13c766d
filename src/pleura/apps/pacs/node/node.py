"""Running a node: threads that receive, segment and deliver, until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from pleura.apps.pacs.addresses import Settings
from pleura.apps.pacs.destinations import open_destination
from pleura.apps.pacs.log import LOG
from pleura.apps.pacs.node.commitment import Commitments
from pleura.apps.pacs.node.delivery import Delivery
from pleura.apps.pacs.node.disk_space import DiskSpace
from pleura.apps.pacs.node.folder import NodeFolder
from pleura.apps.pacs.node.monitor import Monitor
from pleura.apps.pacs.node.queue.queue import Queue
from pleura.apps.pacs.node.reception.scp import DISK, FilmReceiver, Scp
from pleura.apps.pacs.node.watchdog import Watchdog
from pleura.apps.pacs.node.worker import SPACE, Maker, Worker

__all__ = ["run_node"]

GRACE_S = 10.0
"""The time for open associations after the node is stopped, seconds."""

FINISH_S = 60.0
"""The time for the current film and the current deliveries after that, seconds."""


def run_node(
    settings: Settings,
    folder: NodeFolder,
    *,
    space: DiskSpace,
    maker: Maker,
    stopped: Callable[[], bool],
) -> bool:
    """Run a node in `folder`, which the caller has locked, until `stopped()` is true.

    `maker` makes the results of a film's file. Returns whether a film hangs: it is given up, and
    the process, whose thread cannot be ended, has to start again.

    Raises:
        UsageError: the port is taken, the TLS files or the queue cannot be used.
        WeightsError: the network gives invalid numbers; the films stay in the queue.
    """
    monitor = None if settings.monitor is None else Monitor(settings.monitor, folder)
    queue = Queue(folder.queue)
    stopping, film_arrived = threading.Event(), threading.Event()
    commitments = Commitments(queue, folder, settings.longest_wait_s) if settings.commit else None
    deliveries = _deliveries(settings, queue, folder, stopping, commitments=commitments)
    worker = Worker(
        queue=queue,
        folder=folder,
        maker=maker,
        destinations=[address.name for address in settings.addresses],
        wake=film_arrived,
        space=space,
        on_results=lambda: _set_all(delivery.wake for delivery in deliveries),
        stopping=stopping,
        watchdog=Watchdog(settings.film_s),
    )
    scp = Scp(
        settings,
        FilmReceiver(queue, folder, space, on_film=film_arrived.set),
        on_commitment=None if commitments is None else commitments.answer,
    )
    _recover(queue, folder, maker)
    runs = [worker.run, scp.serve, *(delivery.run for delivery in deliveries)]
    runs += [] if monitor is None else [monitor.serve]
    threads = [_NodeThread(run) for run in runs]
    for thread in threads:
        thread.start()
    LOG.info("%s listens on %s port %d", settings.ae, settings.host, scp.port)
    if monitor is not None:
        LOG.info("/metrics, /healthz and /readyz are on port %d", monitor.port)
    hangs = _wait(threads, worker, stopped)
    LOG.info("stopping")
    scp.stop(grace_s=GRACE_S)
    if monitor is not None:
        monitor.stop()
    stopping.set()
    _set_all([film_arrived, *(delivery.wake for delivery in deliveries)])
    _join(threads[1:] if hangs else threads)  # the first is the worker
    queue.close()
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    return hangs and not stopped()


def _wait(threads: Sequence[_NodeThread], worker: Worker, stopped: Callable[[], bool]) -> bool:
    """Wait until `stopped()`, a thread ends, or a film hangs; whether a film hangs."""
    hangs = False
    while not (stopped() or hangs) and all(thread.is_alive() for thread in threads):
        time.sleep(0.1)
        hangs = worker.give_up_if_overdue()
    return hangs


def _deliveries(
    settings: Settings,
    queue: Queue,
    folder: NodeFolder,
    stopping: threading.Event,
    *,
    commitments: Commitments | None,
) -> list[Delivery]:
    """One for each address that results go to."""
    return [
        Delivery(
            queue=queue,
            folder=folder,
            name=address.name,
            destination=open_destination(address, ae=settings.ae, tls=settings.tls),
            wake=threading.Event(),
            stopping=stopping,
            longest_wait_s=settings.longest_wait_s,
            commitments=commitments if address.ae else None,
        )
        for address in settings.addresses
    ]


def _recover(queue: Queue, folder: NodeFolder, maker: Maker) -> None:
    """Clear the troubles and remove the unfinished files of an earlier run.

    Films whose results wait, and were made with other options, are segmented again.
    """
    for place in (DISK, SPACE):
        queue.clear_trouble(place)
    removed = folder.remove_unfinished(*queue.kept_files())
    if removed:
        LOG.info("removed %d files that an earlier run had not finished", removed)
    again = queue.segment_again(unless_made_with=maker.made_with)
    if again:
        LOG.info("%d films are segmented again: their results had other formats", again)


class _NodeThread(threading.Thread):
    """A thread of the node. It keeps the error that ended it."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.error: Exception | None = None
        self._work = work

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # `run_node` stops the node and raises it
            self.error = error


def _set_all(events: Iterable[threading.Event]) -> None:
    for event in events:
        event.set()


def _join(threads: Iterable[threading.Thread]) -> None:
    end = time.monotonic() + FINISH_S
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
