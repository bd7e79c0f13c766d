"""Decoder processes: they read films whose decoder can crash, hang or use too much memory.

Decoders of compressed DICOM, TIFF and WebP films are written in C and C++. Some damaged files make
them end the whole process, hold Python's lock for seconds, or allocate gigabytes. Such films are
read in a process of their own, which is kept for the next film. If it ends, that film fails with
the reason, and the next film gets a new process.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from pleura.core.arrays import Pixels
from pleura.core.errors import FilmError, UnreadableFilm, UnsuitableFilm
from pleura.core.types import Radiograph, Spacing
from pleura.io.child_process import command
from pleura.io.decoder_worker import (
    CPU_S,
    MEMORY_BYTES,
    read_exactly,
    read_header,
    write_message,
)
from pleura.io.files.open_file import open_file
from pleura.io.files.remote import is_remote, name_of
from pleura.io.film import DEFAULT, DecodedFilm, ReadOptions

if TYPE_CHECKING:
    from pleura.io.dicom.source import FilmHeader

__all__ = ["read_in_process", "start_decoder", "stop_decoders"]

WALL_S = 60.0
"""Time after which a decoder process is ended, s. Where the system counts processor time, `CPU_S`
ends it earlier; this limit is larger, so that a busy machine does not reach it."""

_PIPE_BYTES = 1 << 20  # size of the reply's pipe, where the system allows it: fewer reads a film
_ERRORS = {kind.__name__: kind for kind in (FilmError, UnreadableFilm)}


def read_in_process(source: Path | str | bytes, options: ReadOptions = DEFAULT) -> DecodedFilm:
    """Read a film as `io.read.read_here` does, in a decoder process.

    A path is opened by the process itself. As many films are read at a time as there are CPUs;
    further callers wait.

    Raises:
        UnreadableFilm, UnsuitableFilm: as `read_here` does.
        UnreadableFilm: the process crashed, or took more than its time or memory.
    """
    if isinstance(source, Path) and is_remote(source):
        source = _downloaded(source)
    is_path = isinstance(source, str | Path)
    request = {
        "path": str(Path(cast(str, source)).absolute()) if is_path else None,
        "options": asdict(options),
    }
    with _POOL.borrowed() as worker:
        reply = worker.answer(request, b"" if is_path else cast(bytes, source))
    if "error" in reply.fields:
        raise _error(reply.fields)
    return reply.film()


def _downloaded(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise UnreadableFilm(f"cannot read {name_of(path)}: {error.strerror or error}") from error


def start_decoder() -> None:
    """Start a decoder process ahead of the first film; does not wait for it."""
    with contextlib.suppress(UnreadableFilm), _POOL.borrowed():
        pass


def stop_decoders() -> None:
    """End all decoder processes; films in them fail. The next film starts a new one."""
    _POOL.stop()


@dataclass(frozen=True, slots=True)
class _Reply:
    """The reply of a decoder process."""

    fields: dict[str, Any]
    """As `io.decoder_worker` writes them."""

    pixels: Pixels
    """(H, W) float32; (0, 0) with an error."""

    header: bytes
    """The `FilmHeader` of a DICOM film as bytes, if it was requested."""

    def film(self) -> DecodedFilm:
        spacing, no_header = self.fields["spacing"], self.fields["no_header"]
        radiograph = Radiograph(
            self.pixels,
            spacing=spacing and Spacing(**spacing),
            view=self.fields["view"],
            notes=tuple(self.fields["notes"]),
            doubts=tuple(self.fields["doubts"]),
            mirrored=self.fields["mirrored"],
        )
        return DecodedFilm(
            radiograph,
            uid=self.fields["uid"],
            header=_header(self.header) if self.header else None,
            no_header=no_header and _error(no_header),
        )


def _error(fields: Mapping[str, Any]) -> FilmError:
    if fields["error"] == UnsuitableFilm.__name__:
        return UnsuitableFilm(fields["message"], can_force=fields["can_force"])
    return _ERRORS[fields["error"]](fields["message"])


def _header(content: bytes) -> FilmHeader:
    from pleura.io.dicom.source import (
        FilmHeader,
    )  # imports pydicom, which only films with a header need

    return FilmHeader.from_bytes(content)


class _Worker:
    """One decoder process, used by one thread at a time."""

    def __init__(self) -> None:
        self._answering = self._timed_out = self._started = False
        try:
            self._process = subprocess.Popen(
                command("pleura.io.decoder_worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            raise UnreadableFilm(
                f"this film is read in a process of its own, which cannot be started: {error}; "
                "close other programs, or export the film uncompressed"
            ) from error
        _enlarge(self._process.stdout)

    def answer(self, request: Mapping[str, Any], content: bytes) -> _Reply:
        """Send a request and wait for the reply.

        Raises:
            UnreadableFilm: the process ended before it replied.
        """
        timer = threading.Timer(WALL_S, self._stop_after_timeout)
        timer.start()
        self._answering = True
        try:
            replies = cast(IO[bytes], self._process.stdout)
            self._started = self._started or bool(read_header(replies))
            write_message(cast(IO[bytes], self._process.stdin), request, content)
            fields = read_header(replies)
            pixels = np.empty(fields.get("size", (0, 0)), np.float32)
            if pixels.size:
                read_exactly(replies, pixels.data.cast("B"))
            header = bytearray(fields["bytes"] - pixels.nbytes)
            read_exactly(replies, memoryview(header))
        except (OSError, EOFError):  # the process ended, or was stopped
            self._process.wait()
            raise UnreadableFilm(self._end_message()) from None
        finally:
            timer.cancel()
        self._answering = False
        return _Reply(fields, pixels, bytes(header))

    def is_ready(self) -> bool:
        """Whether the process runs and reads no film now."""
        return not self._answering and self._process.poll() is None

    def kill(self) -> None:
        """End the process; a thread that waits for its reply gets an error."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """End the process, wait for its end, and close its pipes."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast(IO[bytes], stream).close()

    def _stop_after_timeout(self) -> None:
        self._timed_out = True
        self.kill()

    def _end_message(self) -> str:
        code = self._process.returncode
        if not self._started:
            return (
                f"this film is read in a process of its own, which ended at its start ({code}); "
                "install Pleura again, or export the film uncompressed"
            )
        if self._timed_out:
            return _timeout_message(f"{WALL_S:g} s")
        if code == -getattr(signal, "SIGXCPU", 0):
            return _timeout_message(f"{CPU_S} s of processor time")
        with contextlib.suppress(ValueError):
            code = signal.Signals(-code).name
        return (
            f"the decoder crashed on this film ({code}): the file is damaged, its header and its "
            f"pixels disagree, or it needs more than {MEMORY_BYTES / 1e9:g} GB of memory; "
            "copy or export it again, uncompressed if possible"
        )


def _timeout_message(limit: str) -> str:
    return (
        f"the decoder was stopped after {limit}: the file is damaged, or far too large; "
        "copy or export it again, uncompressed if possible"
    )


class _Pool:
    """The decoder processes of this process: at most one for each CPU, kept for the next film."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_cpus())

    @contextmanager
    def borrowed(self) -> Iterator[_Worker]:
        with self._slots:
            worker = self._take()
            try:
                yield worker
            finally:
                self._give_back(worker)

    def stop(self) -> None:
        with self._lock:
            idle, busy = self._idle, tuple(self._busy)
            self._idle = []
        for worker in busy:
            worker.kill()
        for worker in idle:
            worker.close()

    def _take(self) -> _Worker:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is not None and not worker.is_ready():  # it ended while it was idle
            worker.close()
            return self._take()
        if worker is None:
            _end_with_this_process()
            worker = _Worker()
        with self._lock:
            self._busy.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        ready = worker.is_ready()
        with self._lock:
            self._busy.discard(worker)
            if ready:
                self._idle.append(worker)
        if not ready:
            worker.close()


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _enlarge(pipe: IO[bytes] | None) -> None:
    """Enlarge the buffer of a pipe, where the system allows it."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(cast(IO[bytes], pipe), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _leave_to_parent() -> None:
    """After a fork: leave the decoder processes to the parent, and keep their objects alive."""
    global _POOL
    _INHERITED.append(_POOL)
    _POOL = _Pool()


@cache
def _end_with_this_process() -> None:
    """Register, once, what happens to decoder processes when this process ends or forks."""
    atexit.register(stop_decoders)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_to_parent)


_POOL = _Pool()
_INHERITED: list[_Pool] = []
