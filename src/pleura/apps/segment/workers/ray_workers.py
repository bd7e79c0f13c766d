"""Workers on Ray: starting it on this machine or joining a cluster, and an executor on it."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pleura.apps.segment.work import FilmWork, Opener
from pleura.apps.segment.workers.handle import Answer, Start, WorkerLost
from pleura.apps.segment.workers.pool import Pool
from pleura.apps.segment.workers.worker import NodeView, Worker, view_of_run
from pleura.core.errors import PleuraError, UsageError
from pleura.io.run.find import FilmFile
from pleura.runtime.threads import usable_cpus

__all__ = ["RayOptions", "on_ray", "quiet_ray"]

LOCAL, AUTO = "local", "auto"

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # Ray prints its messages on stdout, between rows as JSON
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # otherwise a FutureWarning
    "RAY_worker_niceness": "0",  # 15 otherwise; only for a Ray that is started here
    "RAY_agent_register_timeout_ms": "120000",  # on a busy machine its processes start slowly
}
"""Ray reads these once, when it is imported; what the user has set is kept."""

_STORE_BYTES = 100 * 2**20  # Ray's memory for results, here rows of the table
_CONNECT_S = 5.0
_STARTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Where Ray runs, and how large its workers are."""

    address: str
    """`local`, `auto` for the cluster that this machine belongs to, or HOST:PORT."""

    cpus: int = 1
    """CPUs of each worker."""

    gpus: int = 0
    """GPUs of each worker."""

    workers: int | None = None
    """The most workers; None for as many as the cluster has room for."""


@contextmanager
def on_ray(
    options: RayOptions, opener: Opener, films: Sequence[FilmFile], work: FilmWork
) -> Iterator[Pool]:
    """An executor on the workers of a cluster.

    Raises:
        ModuleNotFoundError: Ray is not installed.
        UsageError: there is no cluster at the address, its Python or Ray is another one, or it has
            no room for a worker.
    """
    # A worker's working folder is not that of this command.
    work = replace(work, place=replace(work.place, out=work.place.out.absolute()))
    with _connected(options) as ray:
        workers = _RayWorkers(ray, options, work, opener)
        pool = Pool(workers, seen=view_of_run(work, films), most=options.workers)
        try:
            pool.open(len(films))
            yield pool
        finally:
            pool.close()


class _RayWorkers:
    """Workers on a connected cluster; `handle.Workers`."""

    advice = (
        'all nodes have the same version of Pleura (pip install "pleura[scale]") and enough memory '
        "for --workers"
    )

    def __init__(self, ray: Any, options: RayOptions, work: FilmWork, opener: Opener) -> None:
        self._ray, self._options = ray, options
        self._actor = ray.remote(Worker).options(
            num_cpus=options.cpus, num_gpus=options.gpus, max_restarts=0, max_task_retries=0
        )
        self._arguments = ray.put(work), ray.put(opener)

    def start(self) -> _RayWorker:
        return _RayWorker(self._ray, self._actor.remote(*self._arguments))

    def room(self) -> int:
        """How many workers the living nodes have room for."""
        options = self._options
        resources = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(
            min(
                int(has.get("CPU", 0) // options.cpus),
                int(has.get("GPU", 0) // options.gpus) if options.gpus else 2**31,
            )
            for has in resources
        )


class _RayWorker:
    """A worker on a cluster; `handle.WorkerHandle`."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    def begin(self, seen: NodeView) -> Future[Start]:
        return self._translated(self._actor.begin.remote(seen), defects=False)

    def do(self, films: Sequence[FilmFile], suspects: frozenset[str]) -> Future[Answer]:
        return self._translated(self._actor.do.remote(films, suspects), defects=True)

    def kill(self) -> None:
        self._ray.kill(self._actor)

    def _translated(self, reference: Any, *, defects: bool) -> Future[Any]:
        """The future of a call, with Ray's errors as `WorkerLost`.

        An error that the worker's code raised is a defect, and stays as it is if `defects`.
        """
        errors, answer = self._ray.exceptions, Future[Any]()

        def copy(done: Future[Any]) -> None:
            error = done.exception()
            if error is None:
                answer.set_result(done.result())
            elif not isinstance(error, errors.RayError) or (
                defects and isinstance(error, errors.RayTaskError)
            ):
                answer.set_exception(error)
            else:
                answer.set_exception(_lost(error))

        reference.future().add_done_callback(copy)
        return answer


def _lost(error: BaseException) -> WorkerLost:
    text = str(error)
    return WorkerLost(
        text,
        crashed="worker process has died" in text or "out of memory" in text.lower(),
        out_of_memory="NODE_OUT_OF_MEMORY" in text or "low on memory" in text,
    )


def quiet_ray() -> Any:
    """Import Ray so that it prints nothing and sends nothing; `ModuleNotFoundError` without it."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


@contextmanager
def _connected(options: RayOptions) -> Iterator[Any]:
    """Yield Ray, connected; undo at the end the changes that it makes in this process."""
    ray = quiet_ray()
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if in_main else None
    was_connected = ray.is_initialized()  # by a program that calls this command
    try:
        if not was_connected:
            _connect_stoppable(ray, options, before)
        yield ray
    finally:
        if not was_connected:
            ray.shutdown()


def _connect_stoppable(ray: Any, options: RayOptions, before: Any) -> None:
    """Connect; SIGTERM, on which Ray would end the process, interrupts as Ctrl-C does.

    `before` is the handler of SIGTERM, which is restored; None outside the main thread.
    """
    try:
        _connect(ray, options)
    except SystemExit as end:
        if end.code != signal.SIGTERM:
            raise
        raise KeyboardInterrupt from end
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _connect(ray: Any, options: RayOptions) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    if options.address == LOCAL:
        _start(ray, num_cpus=max(usable_cpus(), options.cpus), **quiet)
        return
    _check_address(options.address)
    try:
        ray.init(address=options.address, **quiet)
    except ConnectionError as error:
        raise UsageError(
            f"there is no Ray cluster at {options.address} that this machine belongs to ({error}); "
            "start one with `ray start --head`, or use --ray local"
        ) from error
    except RuntimeError as error:
        if "version mismatch" not in str(error).lower():
            raise
        raise UsageError(
            f"the cluster at {options.address} runs another Python or Ray than this command: "
            f"{' '.join(str(error).split())}; install the same versions on all nodes"
        ) from error


def _start(ray: Any, **settings: Any) -> None:
    """Start Ray on this machine. Ray gives its processes 15 s, which a busy machine may exceed."""
    for attempt in range(_STARTS):
        try:
            ray.init(
                address=LOCAL, include_dashboard=False, object_store_memory=_STORE_BYTES, **settings
            )
        except Exception as error:  # the class that Ray raises for all of its processes
            ray.shutdown()
            if attempt == _STARTS - 1:
                raise PleuraError(
                    f"Ray did not start on this machine: {' '.join(str(error).split())}; its logs "
                    "are in session_latest/logs of its temporary folder. Try again when the "
                    "machine is less busy, or run without --ray"
                ) from error
        else:
            return


def _check_address(address: str) -> None:
    """Raise `UsageError` for an invalid address, or one at which no service answers."""
    if address == AUTO:
        return
    match = re.fullmatch(r"\[?([\w.:-]+?)\]?:(\d{1,5})", address)
    if "://" in address or match is None:
        raise UsageError(
            f"--ray {address}: give local, auto, or HOST:PORT of the cluster's head, and start the "
            "command on one of its machines (`ray job submit` does)"
        )
    try:
        socket.create_connection((match[1], int(match[2])), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"there is no Ray cluster at {address}: {error}; start one with `ray start --head`, "
            "check the address and the firewall, or use --ray local"
        ) from error
