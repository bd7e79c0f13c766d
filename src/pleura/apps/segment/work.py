"""Reading, segmenting and writing the films of a run, in this process or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from pleura.apps.cli.engines import Choice, open_engine
from pleura.apps.segment.output_folder import OutputFolder
from pleura.apps.segment.pipeline import Failed, Loaded, Pipeline
from pleura.core.arrays import Definition
from pleura.core.types import Provenance
from pleura.io.film import ReadOptions
from pleura.io.read import prepare_for
from pleura.io.run.find import FilmFile
from pleura.io.run.row import Row
from pleura.runtime.segmenter import Segmenter

__all__ = ["Ended", "Executor", "FilmWork", "OpenExecutor", "Opener", "Watch", "in_this_process"]

Ended: TypeAlias = Loaded[Row] | Failed
"""A film that is finished: its row, or the reason why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """The settings of a segmenter; a worker of a cluster receives them unchanged."""

    choice: Choice
    weights: tuple[bytes, ...] = ()
    """The content of weights files; empty for the shipped weights."""

    definition: Definition = "field"
    flip: bool = False
    tta: bool = False

    def __call__(self, streams: int) -> Segmenter:
        """Open a segmenter for this number of threads that call it at the same time."""
        engine = open_engine(*self.weights, choice=replace(self.choice, streams=streams))
        return Segmenter(engine, definition=self.definition, flip=self.flip, tta=self.tta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Functions of a run that are called while films are being processed."""

    stopped: Callable[[], bool] = lambda: False
    """Called before each batch; if true, films that were only read are dropped."""

    overdue: Callable[[], bool] = lambda: False
    """Called while waiting; if true, films that are still being processed are given up."""

    reading: Callable[[FilmFile], AbstractContextManager[object]] = lambda _: nullcontext()
    """Entered while a film is read in this process."""

    suspects: Container[str] = ()
    """Films, by the name of their results, that ended a process while they were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmWork:
    """Reading, segmenting and writing films: the same work wherever it is done."""

    place: OutputFolder
    jobs: int
    """Threads that read, and as many that write."""

    batch: int
    """Films in one call of the network."""

    lanes: int = 1
    """Batches that may be segmented at the same time."""

    photographs: bool = False
    """Colour photographs of films are segmented too."""

    def done(
        self, films: Sequence[FilmFile], segmenter: Segmenter, watch: Watch
    ) -> Iterator[Ended]:
        """Segment the films, in their order; raises what `Pipeline.run` does."""
        return Pipeline(
            segmenter=segmenter,
            write=self.place.write,
            jobs=self.jobs,
            batch=self.batch,
            lanes=self.lanes,
            options=ReadOptions(photographs=self.photographs, header=self.place.needs_header),
            reading=watch.reading,
            suspects=watch.suspects,
            stopped=watch.stopped,
            overdue=watch.overdue,
        ).run(films)


class Executor(Protocol):
    """Segments the films of a run: in this process, or on a cluster."""

    @property
    def provenance(self) -> Provenance:
        """The provenance of all results."""

    def run(self, films: Sequence[FilmFile], watch: Watch) -> Iterator[list[Ended]]:
        """Segment the films, in any order; yield those that have just ended, each film once.

        Raises:
            WeightsError: the network gives values that are no probabilities.
            OutputError: the disk is full, or the output folder takes no file.
        """


OpenExecutor: TypeAlias = Callable[[Sequence[FilmFile], FilmWork], AbstractContextManager[Executor]]
"""Makes an executor for a run over these films; it ends with the block."""


@dataclass(frozen=True, slots=True)
class _ThisProcess:
    work: FilmWork
    segmenter: Segmenter

    @property
    def provenance(self) -> Provenance:
        return self.segmenter.provenance

    def run(self, films: Sequence[FilmFile], watch: Watch) -> Iterator[list[Ended]]:
        return ([end] for end in self.work.done(films, self.segmenter, watch))


@contextmanager
def in_this_process(
    opener: Opener, films: Sequence[FilmFile], work: FilmWork
) -> Iterator[_ThisProcess]:
    """An executor that segments all films in this process, on threads."""
    if films:
        prepare_for(films[0].path)  # while the network is loaded
    work = replace(work, lanes=max(1, min(work.lanes, len(films))))
    yield _ThisProcess(work, opener(work.lanes))
