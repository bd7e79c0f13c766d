"""Workers that are processes of this machine, and an executor on them."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import IO, Any, cast

from pleura.apps.segment.work import FilmWork, Opener
from pleura.apps.segment.workers.handle import Answer, Start, WorkerLost
from pleura.apps.segment.workers.pool import Pool
from pleura.apps.segment.workers.worker import NodeView, Worker, view_of_run
from pleura.core.errors import UsageError
from pleura.io.child_process import command
from pleura.io.files.atomic import remove_partial_files
from pleura.io.run.find import FilmFile

__all__ = ["in_processes"]

_MAIN = "pleura.apps.segment.workers.process_main"
_TEXT_BYTES = 10_000  # of stderr that are kept for a message


@contextmanager
def in_processes(
    count: int, opener: Opener, films: Sequence[FilmFile], work: FilmWork
) -> Iterator[Pool]:
    """An executor on at most `count` worker processes of this machine.

    Python's lock limits how many films a process finishes in a second, whatever the number of its
    threads; several processes use more CPUs.

    Raises:
        WeightsError: the weights cannot be read.
        UsageError: the processes end before they can begin.
    """
    pool = Pool(_Processes(count, work, opener), seen=view_of_run(work, films), most=count)
    try:
        pool.open(len(films))
        yield pool
    finally:
        pool.close()
        if pool.crashed:  # while they wrote a file, perhaps
            remove_partial_files(work.place.out)


class _Processes:
    """Workers on this machine; `handle.Workers`."""

    advice = "there is enough memory for --workers processes"

    def __init__(self, count: int, work: FilmWork, opener: Opener) -> None:
        self._count, self._arguments = count, (Worker, work, opener)

    def start(self) -> _Process:
        return _Process(self._arguments)

    def room(self) -> int:
        return self._count


class _Process:
    """A worker process; `handle.WorkerHandle`.

    Calls and answers are pickled, and go through the process's standard input and output.
    """

    def __init__(self, arguments: tuple[type[Worker], FilmWork, Opener]) -> None:
        self._lock = threading.Lock()
        self._pending: deque[Future[Any]] = deque()
        self._lost: WorkerLost | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `kill`
        try:
            self._process = subprocess.Popen(
                command(_MAIN),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        except OSError as error:
            raise UsageError(
                f"no worker process can be started: {error}; give fewer --workers"
            ) from error
        self._send(arguments)
        self._receiver = threading.Thread(target=self._receive, name="pleura-worker", daemon=True)
        self._receiver.start()

    def begin(self, seen: NodeView) -> Future[Start]:
        return self._call("begin", seen)

    def do(self, films: Sequence[FilmFile], suspects: frozenset[str]) -> Future[Answer]:
        return self._call("do", list(films), suspects)

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()
        self._receiver.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                cast(IO[bytes], stream).close()

    def _call(self, name: str, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._lost is not None:
                future.set_exception(self._lost)
                return future
            self._pending.append(future)
        self._send((name, arguments))
        return future

    def _send(self, message: Any) -> None:
        """Send a message; if the process has ended, `_receive` notices it."""
        requests = cast(IO[bytes], self._process.stdin)
        with contextlib.suppress(OSError):
            pickle.dump(message, requests)
            requests.flush()

    def _receive(self) -> None:
        """Give every answer to the oldest call, until the process ends."""
        answers = cast(IO[bytes], self._process.stdout)
        try:
            while True:
                is_defect, value = pickle.load(answers)
                with self._lock:
                    future = self._pending.popleft()
                if is_defect:
                    future.set_exception(RuntimeError(value))
                else:
                    future.set_result(value)
        except (EOFError, OSError, pickle.UnpicklingError):
            code = self._process.wait()
        with self._lock:
            self._lost = WorkerLost(f"{self._last_words()} (exit code {code})", crashed=True)
            pending, self._pending = self._pending, deque()
        for future in pending:
            future.set_exception(self._lost)

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-_TEXT_BYTES:].decode(errors="replace").strip()
