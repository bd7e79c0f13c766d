"""A film that crashes its decoder, or takes too much time or memory, fails; the next is read."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pleura.core.errors import UnreadableFilm, UnsuitableFilm
from pleura.io import decoder_process
from pleura.io.decoder_process import read_in_process, start_decoder, stop_decoders
from pleura.io.read import read_here, read_radiograph

FAKE = """
import sys; sys.path[:] = PATH
import os, sys, time
from pleura.io import decoder_worker, read
decoder_worker.CPU_S, decoder_worker.MEMORY_BYTES = 1, 300_000_000

def read_here(source, options):
    if source == b"abort":
        os.abort()
    if source == b"exit":
        sys.exit(3)
    if source == b"loop":
        while True:
            pass
    if source == b"allocate":
        return bytes(1_000_000_000)
    if source == b"sleep":
        time.sleep(600)
    if source == b"print":
        os.write(1, b"noise on stdout"); os.write(2, b"noise on stderr"); print("noise")
    return actual(film)

actual, film = read.read_here, FILM
read.read_here = read_here
decoder_worker.main()
"""


def tiff() -> bytes:
    """A TIFF film, which is read in a decoder process."""
    file = BytesIO()
    Image.fromarray(np.add.outer(np.arange(40) * 4, np.arange(36)).astype(np.uint8)).save(
        file, "TIFF"
    )
    return file.getvalue()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Decoder processes whose decoder does what the film's bytes say."""
    stop_decoders()
    program = FAKE.replace("PATH", repr(sys.path)).replace("FILM", repr(tiff()))
    monkeypatch.setattr(decoder_process, "command", lambda _: [sys.executable, "-c", program])
    yield
    stop_decoders()


@pytest.mark.parametrize(
    ("film", "message"),
    [
        (b"abort", r"crashed on this film \(SIGABRT\): the file is damaged"),
        (b"exit", r"crashed on this film \(3\)"),
        (b"loop", r"was stopped after 12 s of processor time: the file is damaged"),
        (b"allocate", r"needs more memory"),
    ],
)
def test_a_film_that_ends_its_decoder_fails_alone(fake: None, film: bytes, message: str) -> None:
    with pytest.raises(UnreadableFilm, match=message):
        read_in_process(film)
    assert read_in_process(b"sound").radiograph.size == (40, 36)


def test_a_decoder_that_never_replies_is_stopped(
    fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read_in_process(b"sound").radiograph.size == (40, 36)  # it has started
    monkeypatch.setattr(decoder_process, "WALL_S", 0.5)
    with pytest.raises(UnreadableFilm, match=r"was stopped after 0\.5 s: the file is damaged"):
        read_in_process(b"sleep")


def test_output_of_a_decoder_is_discarded(fake: None, capfd: pytest.CaptureFixture[str]) -> None:
    assert read_in_process(b"print").radiograph.size == (40, 36)
    assert capfd.readouterr() == ("", "")


def test_an_error_for_a_decoder_that_cannot_start_does_not_blame_the_film(
    fake: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [sys.executable, "-c", "import sys; sys.exit(5)"]
    monkeypatch.setattr(decoder_process, "command", lambda _: ends)
    with pytest.raises(UnreadableFilm, match=r"ended at its start \(5\); install Pleura again"):
        read_in_process(b"sound")


def test_stopping_ends_films_that_are_being_read(fake: None) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(read_in_process, b"sleep")
        while not waiting.running():
            time.sleep(0.01)
        time.sleep(0.2)
        stop_decoders()
        with pytest.raises(UnreadableFilm):
            waiting.result(timeout=30)


def test_a_decoder_that_died_while_idle_is_replaced() -> None:
    stop_decoders()
    start_decoder()
    (worker,) = decoder_process._POOL._idle
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.wait()
    assert read_in_process(tiff()).radiograph.size == (40, 36)


def test_films_and_errors_are_the_same_as_without_the_process() -> None:
    film, same = read_radiograph(tiff()), read_here(tiff()).radiograph
    assert np.array_equal(film.pixels, same.pixels)
    assert (film.spacing, film.view, film.notes) == (same.spacing, same.view, same.notes)
    blank = BytesIO()
    Image.new("L", (64, 64), 7).save(blank, "TIFF")
    with pytest.raises(UnsuitableFilm, match="no contrast"):
        read_radiograph(blank.getvalue())


def test_a_path_is_opened_by_the_decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fïlm \udce9.tif").write_bytes(tiff())
    start_decoder()  # it stays in the folder that is current now
    monkeypatch.chdir(tmp_path)
    assert read_radiograph(Path("fïlm \udce9.tif")).size == (40, 36)


def test_many_threads_share_the_decoders() -> None:
    films = [tiff()] * 40
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(read_radiograph, films))
    assert all(np.array_equal(film.pixels, read[0].pixels) for film in read)
    assert len(decoder_process._POOL._idle) <= decoder_process._cpus()


def test_a_forked_process_uses_decoders_of_its_own() -> None:
    read_radiograph(tiff())
    pid = os.fork()
    if not pid:
        status = 1
        try:
            status = 0 if read_radiograph(tiff()).size == (40, 36) else 2
        finally:
            stop_decoders()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert read_radiograph(tiff()).size == (40, 36)


def test_no_thread_is_left_behind() -> None:
    read_radiograph(tiff())
    others = set(threading.enumerate())
    for _ in range(5):
        read_radiograph(tiff())
    for thread in set(threading.enumerate()) - others:
        thread.join(timeout=30)  # one that was cancelled may take a moment to end
    assert set(threading.enumerate()) <= others
