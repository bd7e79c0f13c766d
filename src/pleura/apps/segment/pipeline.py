"""Segments many films on threads: some read, some run the network, some write.

Where there are several CPUs, several films are segmented at a time on few CPUs each. A network that
takes all CPUs for one film waits at each layer for the slowest CPU, and none computes while the
film is cleaned.

Only the films being processed are in memory, so memory does not grow with the number of films.
Threads are enough: decoding, the engine and writing release Python's lock.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Generic, TypeAlias, TypeVar

from pleura.apps.cli.progress import give_up
from pleura.apps.segment.memory import OUT_OF_MEMORY, is_out_of_memory
from pleura.core.errors import FilmError, PleuraError, UnsuitableFilm
from pleura.core.types import Segmentation
from pleura.io.decoder_process import read_in_process, stop_decoders
from pleura.io.film import DEFAULT, DecodedFilm, ReadOptions
from pleura.io.read import read_film
from pleura.io.run.find import FilmFile
from pleura.runtime.segmenter import Segmenter

__all__ = ["Failed", "Loaded", "Pipeline", "ahead"]

A = TypeVar("A")
B = TypeVar("B")

Segmented: TypeAlias = tuple[DecodedFilm, Segmentation]
"""A film with its result."""

POLL_S = 0.1
"""The interval at which a wait for a thread checks whether it should end, s."""

PATIENCE_S = 2.0
"""How long the threads of a run that an error ended may take to end, s."""

_runs = count()


@dataclass(frozen=True, slots=True)
class Loaded(Generic[A]):
    """A film being processed, with the result of the last step."""

    file: FilmFile
    value: A
    seconds: float
    """Spent on this film so far; its share of a batch included."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A film that could not be segmented, and why."""

    file: FilmFile
    reason: str
    """One sentence for the table."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(Generic[B]):
    """Segments films, and yields what `write` returns for each, in their order."""

    segmenter: Segmenter
    write: Callable[[FilmFile, DecodedFilm, Segmentation], B]
    jobs: int
    """Threads that read, and as many that write."""

    batch: int
    """Films in one call of the network."""

    lanes: int = 1
    """Batches that are fitted, predicted and cleaned at the same time."""

    options: ReadOptions = DEFAULT
    """How films are read."""

    reading: Callable[[FilmFile], AbstractContextManager[object]] = lambda _: nullcontext()
    """Entered while a film is read."""

    suspects: Container[str] = ()
    """Films, by the name of their results, that ended an earlier run while they were read."""

    stopped: Callable[[], bool] = lambda: False
    """Called before each batch; if true, films that were only read are dropped."""

    overdue: Callable[[], bool] = lambda: False
    """Called while waiting; if true, films that are still being processed are given up."""

    def run(self, films: Iterable[FilmFile]) -> Iterator[Loaded[B] | Failed]:
        """Read, segment and write every film; one that fails is `Failed`, and the run continues.

        Raises:
            WeightsError: the network gives values that are no probabilities; every film would fail.
            OutputError: the disk is full, or the output folder takes no file.
        """
        name = f"pleura-run-{next(_runs)}-"
        readers, network, writers = (
            ThreadPoolExecutor(threads, thread_name_prefix=name)
            for threads in (self.jobs, self.lanes, self.jobs)
        )
        read = ahead(
            readers, self._read, films, depth=self.jobs + self.batch, given_up=self.stopped
        )
        # One more batch waits, so that the network stays busy while a row is written.
        segmented = ahead(
            network,
            self._segment,
            self._batches(read),
            depth=self.lanes + 1,
            given_up=self.overdue,
        )
        films_segmented = chain.from_iterable(segmented)
        try:
            yield from ahead(
                writers,
                self._write,
                films_segmented,
                depth=self.jobs + 1,
                given_up=self.overdue,
            )
        finally:
            for pool in (readers, network, writers):
                pool.shutdown(wait=False, cancel_futures=True)
            if self.stopped():
                stop_decoders()
            _join(name, patience_s=POLL_S if self.stopped() else PATIENCE_S)

    def _read(self, file: FilmFile) -> Loaded[DecodedFilm] | Failed:
        suspect = file.name in self.suspects
        read = read_in_process if suspect else read_film
        with self.reading(file):
            return _attempt(Loaded(file, file.path, 0.0), lambda path: read(path, self.options))

    def _batches(
        self, read: Iterator[Loaded[DecodedFilm] | Failed]
    ) -> Iterator[list[Loaded[DecodedFilm] | Failed]]:
        while not self.stopped() and (group := list(islice(read, self.batch))):
            yield group

    def _segment(
        self, group: list[Loaded[DecodedFilm] | Failed]
    ) -> list[Loaded[Segmented] | Failed]:
        if self.stopped():  # after this batch was put in the queue
            return []
        loaded = [film for film in group if isinstance(film, Loaded)]
        start = time.perf_counter()
        try:
            segmentations = iter(self.segmenter.segment([film.value.radiograph for film in loaded]))
        except Exception:  # the edge of a batch: one film must not stop the others
            return [
                film if isinstance(film, Failed) else _attempt(film, self._segment_alone)
                for film in group
            ]
        share = (time.perf_counter() - start) / max(1, len(loaded))
        return [
            film
            if isinstance(film, Failed)
            else Loaded(film.file, (film.value, next(segmentations)), film.seconds + share)
            for film in group
        ]

    def _segment_alone(self, film: DecodedFilm) -> Segmented:
        return film, self.segmenter(film.radiograph)

    def _write(self, film: Loaded[Segmented] | Failed) -> Loaded[B] | Failed:
        if isinstance(film, Failed):
            return film
        return _attempt(film, lambda value: self.write(film.file, *value))


def ahead(
    pool: ThreadPoolExecutor,
    function: Callable[[A], B],
    items: Iterable[A],
    *,
    depth: int,
    given_up: Callable[[], bool] = lambda: False,
) -> Iterator[B]:
    """`map` on a pool, in order, with at most `depth` items being processed.

    Once `given_up` returns true, items that are still being processed are not waited for.
    """
    pending: deque[Future[B]] = deque()
    for item in items:
        pending.append(pool.submit(function, item))
        while pending and (len(pending) >= depth or pending[0].done()):
            if not _done(pending[0], given_up):
                yield from (future.result() for future in pending if future.done())
                return
            yield pending.popleft().result()
    while pending and _done(pending[0], given_up):
        yield pending.popleft().result()
    yield from (future.result() for future in pending if future.done())


def _done(future: Future[B], given_up: Callable[[], bool]) -> bool:
    """Wait for the end of `future`; false if it was given up. Signals are handled meanwhile."""
    while not future.done():
        if given_up():
            return False
        wait([future], POLL_S)
    return True


def _join(name: str, *, patience_s: float) -> None:
    """Wait for the threads whose names begin with `name`, then give up those that have not ended.

    The wait for all of them takes at most `patience_s` seconds.
    """
    end = time.monotonic() + patience_s
    for thread in threading.enumerate():
        if thread.name.startswith(name):
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                give_up(thread)


def _attempt(film: Loaded[A], step: Callable[[A], B]) -> Loaded[B] | Failed:
    """Take a film one step further; a failure of this film alone does not stop the run."""
    start = time.perf_counter()
    try:
        value = step(film.value)
    except FilmError as error:
        return Failed(film.file, _reason(error), film.seconds + time.perf_counter() - start)
    except PleuraError:
        raise
    except Exception as error:  # the edge of a batch: a defect met on one film
        unexpected = f"unexpected {type(error).__name__}: {error}"
        reason = OUT_OF_MEMORY if is_out_of_memory(error) else unexpected
        return Failed(film.file, reason, film.seconds + time.perf_counter() - start)
    return Loaded(film.file, value, film.seconds + time.perf_counter() - start)


def _reason(error: FilmError) -> str:
    """The text of an error, with the option that helps."""
    can_force = isinstance(error, UnsuitableFilm) and error.can_force
    return f"{error}; with --force it is segmented anyway" if can_force else str(error)
