from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pleura.apps.cli.engines import open_engine
from pleura.apps.segment.pipeline import Failed, Loaded, Pipeline, ahead
from pleura.core.errors import UsageError
from pleura.core.types import Segmentation
from pleura.io.film import DecodedFilm
from pleura.io.run.find import FilmFile
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter

JOBS, BATCH = 2, 3


@given(items=st.lists(st.integers(0, 3)), depth=st.integers(1, 6), threads=st.integers(1, 4))
@settings(max_examples=30)
def test_ahead_keeps_the_order_and_never_has_more_than_depth_under_way(
    items: list[int], depth: int, threads: int
) -> None:
    taken = given_back = most = 0

    def source() -> Any:
        nonlocal taken, most
        for item in items:
            taken += 1
            most = max(most, taken - given_back)
            yield item

    def work(item: int) -> int:
        time.sleep(item / 5000)  # so that later ones overtake
        return item * item

    results = []
    with ThreadPoolExecutor(threads) as pool:
        for result in ahead(pool, work, source(), depth=depth):
            results.append(result)
            given_back += 1
    assert results == [item * item for item in items]
    assert most <= depth + 1  # one more while its place is made


def test_ahead_gives_up_unfinished_items_and_keeps_finished_ones() -> None:
    come_back, late = threading.Event(), threading.Event()

    def work(item: int) -> int:
        if item == 1:
            come_back.wait(60)
        if item == 3:
            late.set()
        return item

    with ThreadPoolExecutor(2) as pool:
        results = list(ahead(pool, work, range(4), depth=4, given_up=late.is_set))
        come_back.set()
    assert results[0] == 0
    assert 1 not in results
    assert 2 in results


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[FilmFile]:
    """30 films, every seventh damaged."""
    folder = tmp_path_factory.mktemp("films")
    made = []
    for number in range(30):
        path = folder / f"{number:02}.png"
        film = Image.linear_gradient("L").resize((96 + number, 100))
        film.save(path)
        if number % 7 == 0:
            path.write_bytes(path.read_bytes()[:60])
        made.append(FilmFile(str(path), path.stem))
    return made


@pytest.fixture(scope="module")
def segmenter(tiny_weights: Path) -> Segmenter:
    return Segmenter(open_engine(tiny_weights, threads=1))


def width(_: FilmFile, __: DecodedFilm, segmentation: Segmentation) -> int:
    """A way to write that shows which film it was."""
    return segmentation.mask.shape[1]


@pytest.mark.parametrize("lanes", [1, 3])
def test_every_film_comes_out_once_in_order_with_its_own_result(
    films: list[FilmFile], segmenter: Segmenter, lanes: int
) -> None:
    pipeline = Pipeline(segmenter=segmenter, write=width, jobs=JOBS, batch=BATCH, lanes=lanes)
    ends = list(pipeline.run(films))
    assert [end.file for end in ends] == films
    for number, end in enumerate(ends):
        if number % 7 == 0:
            assert isinstance(end, Failed)
        else:
            assert isinstance(end, Loaded)
            assert end.value == 96 + number
        assert end.seconds > 0


def test_films_are_released_as_soon_as_they_are_written(
    films: list[FilmFile], segmenter: Segmenter
) -> None:
    seen: list[weakref.ref[Any]] = []
    lock, most = threading.Lock(), 0

    def write(_: FilmFile, __: DecodedFilm, segmentation: Segmentation) -> None:
        nonlocal most
        with lock:
            seen.append(weakref.ref(segmentation.right))
            most = max(most, sum(item() is not None for item in seen))

    pipeline = Pipeline(segmenter=segmenter, write=write, jobs=JOBS, batch=BATCH)
    for _ in pipeline.run(films):
        pass
    assert len(seen) == 25
    assert most <= JOBS + 1 + BATCH  # being written, waiting to be, and the batch they came in


def test_a_film_that_breaks_the_writer_fails_alone(
    films: list[FilmFile], segmenter: Segmenter
) -> None:
    def write(film: FilmFile, _: DecodedFilm, __: Segmentation) -> int:
        return 1 // (film.name != "05")

    ends = list(Pipeline(segmenter=segmenter, write=write, jobs=1, batch=1).run(films[1:8]))
    assert [isinstance(end, Failed) for end in ends] == [False] * 4 + [True, False, True]
    broken = ends[4]
    assert isinstance(broken, Failed)
    assert broken.reason.startswith("unexpected ZeroDivisionError")


def test_a_place_that_cannot_be_written_ends_the_run(
    films: list[FilmFile], segmenter: Segmenter
) -> None:
    def write(_: FilmFile, __: DecodedFilm, ___: Segmentation) -> None:
        raise UsageError("disk full")

    with pytest.raises(UsageError, match="disk full"):
        list(Pipeline(segmenter=segmenter, write=write, jobs=JOBS, batch=1).run(films))


def test_once_stopped_no_further_film_is_segmented(
    films: list[FilmFile], segmenter: Segmenter
) -> None:
    written: list[str] = []

    def write(film: FilmFile, _: DecodedFilm, __: Segmentation) -> None:
        written.append(film.name)

    pipeline = Pipeline(
        segmenter=segmenter, write=write, jobs=1, batch=1, stopped=lambda: len(written) >= 3
    )
    ends = list(pipeline.run(films[1:7]))
    assert 3 <= len(ends) <= 5
    assert [end.file.name for end in ends] == written


class Meeting:
    """An engine that answers once so many calls have come."""

    def __init__(self, engine: Engine, calls: int) -> None:
        self.engine, self.calls = engine, threading.Barrier(calls, timeout=30)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.calls.wait()
        return self.engine.predict(batch)


def test_lanes_work_at_the_same_time(films: list[FilmFile], tiny_weights: Path) -> None:
    segmenter = Segmenter(Meeting(open_engine(tiny_weights, threads=1), 3))
    pipeline = Pipeline(segmenter=segmenter, write=width, jobs=1, batch=1, lanes=3)
    ends = list(pipeline.run(films[1:4]))
    assert [isinstance(end, Loaded) for end in ends] == [True] * 3


def test_once_stopped_no_further_film_is_read(films: list[FilmFile], segmenter: Segmenter) -> None:
    stopped = threading.Event()
    looked_at: list[FilmFile] = []

    def watched() -> Iterator[FilmFile]:
        for film in films:
            looked_at.append(film)
            yield film

    def write(_: FilmFile, __: DecodedFilm, ___: Segmentation) -> None:
        stopped.set()

    pipeline = Pipeline(segmenter=segmenter, write=write, jobs=1, batch=1, stopped=stopped.is_set)
    list(pipeline.run(watched()))
    assert len(looked_at) < 12  # of 30: what was on its way
