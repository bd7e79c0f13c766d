"""Runs that end before their end: killed, interrupted, out of disk."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pleura.io.files import atomic

FILMS = 40
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 films of different sizes in two folders, two of them damaged."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(1)
    for number in range(FILMS):
        film = rng.integers(180, 230, (300 + number, 280), dtype=np.uint8)
        film[80:220, 40 : 100 + number] = film[80:220, 170:240] = 40
        path = folder / ("even" if number % 2 == 0 else "odd") / f"film{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(film).save(path)
    for name in ("even/film08.png", "odd/film21.png"):
        (folder / name).write_bytes((folder / name).read_bytes()[:500])
    return folder


def command(films: Path, out: Path, weights: Path) -> list[str]:
    options = [
        "--weights",
        str(weights),
        "--threads",
        "1",
        "--overlay",
        "--format",
        "mask,nifti,coco",
    ]
    return [sys.executable, "-m", "pleura", "segment", str(films), "-o", str(out), *options]


def start(arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tree(out: Path) -> dict[str, bytes]:
    """Every file but the report, which tells of one run; the table without its seconds."""
    files = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("run.json", "results.csv")
    }
    return {**files, "results.csv": table(out / "results.csv")}


def table(path: Path) -> bytes:
    with path.open(newline="", encoding="utf-8") as file:
        lines = [[*row.items()] for row in csv.DictReader(file)]
    return repr([[cell for cell in row if cell[0] != "seconds"] for row in lines]).encode()


def masks(out: Path) -> int:
    return len(list(out.rglob("*_mask.png")))


def wait_for(out: Path, films: int, process: subprocess.Popen[str]) -> None:
    """Until `films` masks are there, or the run is over."""
    deadline = time.monotonic() + 120
    while process.poll() is None and masks(out) < films and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.fixture(scope="module")
def uninterrupted(
    many: Path, tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What a run leaves that nobody stopped."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = subprocess.run(
        command(many, out, tiny_weights), capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    files = tree(out)
    assert len(files) == 4 * (FILMS - 2) + 2
    return files


def test_kill_at_any_time_and_resume_gives_the_same_files(
    many: Path, tiny_weights: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = command(many, out, tiny_weights)
    killed = 0
    for films in (1, 5, 12, 19, 27):  # each run goes on where the one before was killed
        process = start([*line, "--resume"])
        wait_for(out, films, process)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
        for name, content in tree(out).items():
            if name != "results.csv" and ".pleura-" not in name:
                assert content == uninterrupted[name]  # whole, or not there
    assert killed >= 3
    last = subprocess.run([*line, "--resume"], capture_output=True, text=True, check=False)
    assert last.returncode == 3, last.stderr
    assert "finished before" in last.stderr
    assert tree(out) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_film_in_hand_and_says_how_to_go_on(
    many: Path,
    tiny_weights: Path,
    uninterrupted: dict[str, bytes],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    out = tmp_path / "out"
    line = command(many, out, tiny_weights)
    process = start(line)
    wait_for(out, 3, process)
    process.send_signal(number)
    _, message = process.communicate(timeout=120)
    assert process.returncode == 130, message
    assert "--resume" in message
    assert "Traceback" not in message
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert 3 <= len(rows) < FILMS
    assert sum(row["status"] == "done" for row in rows) == masks(out)  # nothing without a row
    assert '"interrupted"' in (out / "run.json").read_text()
    again = subprocess.run([*line, "--resume"], capture_output=True, text=True, check=False)
    assert again.returncode == 3
    assert tree(out) == uninterrupted


def test_a_disk_that_is_full_stops_the_run_and_says_what_to_do(
    run: Callable[..., Any],
    many: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: dict[str, bytes],
) -> None:
    out = tmp_path / "out"
    line = command(many, out, tiny_weights)[3:]
    room, sync = [20], os.fsync

    def full_after_a_while(handle: int) -> None:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_after_a_while)
        ended = run(*line)
    assert ended.code == 1
    assert "No space left on device; free space there" in ended.err
    assert "--resume continues from here" in ended.err
    assert "Traceback" not in ended.err
    assert 0 < masks(out) < FILMS - 2
    again = run(*line, "--resume")
    assert again.code == 3
    assert tree(out) == uninterrupted


def test_an_output_folder_that_is_closed_stops_the_run(
    run: Callable[..., Any],
    many: Path,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    make = Path.mkdir

    def closed(self: Path, *arguments: Any, **options: Any) -> None:
        if self == out / "odd":  # the last of the folder's rights are gone by now
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        make(self, *arguments, **options)

    def no_file(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", closed)
    monkeypatch.setattr(atomic, "TemporaryFile", no_file)
    ended = run(*command(many, out, tiny_weights)[3:])
    assert ended.code == 1
    assert f"cannot write {out}: Permission denied; allow writing there" in ended.err
    assert "--resume" in ended.err


def test_a_film_whose_file_is_gone_is_segmented_again(
    many: Path, tiny_weights: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    """In two folders, of two formats; every other film is left as it is."""
    out = tmp_path / "out"
    line = command(many, out, tiny_weights)
    whole = subprocess.run(line, capture_output=True, text=True, check=False)
    assert whole.returncode == 3, whole.stderr
    (out / "even" / "film10_mask.png").unlink()
    (out / "odd" / "film33_overlay.png").unlink()
    again = subprocess.run([*line, "--resume"], capture_output=True, text=True, check=False)
    # The two damaged films are tried again, too.
    assert f"2 segmented, 2 failed, {FILMS - 4} finished before" in again.stderr
    assert tree(out) == uninterrupted


@pytest.mark.parametrize("workers", [1, 2])
def test_an_output_folder_that_is_removed_ends_the_run(
    many: Path, tiny_weights: Path, uninterrupted: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "out"
    line = [*command(many, out, tiny_weights), "--json", "--workers", str(workers)]
    with start(line) as run:
        assert run.stdout is not None
        assert run.stdout.readline()  # a film is finished
        out.rename(tmp_path / "gone")
        _, err = run.communicate()
    assert run.returncode == 1, err
    assert "results.csv was removed during the run, and perhaps other results with it; " in err
    assert "--resume continues from here" in err
    again = subprocess.run([*line, "--resume"], capture_output=True, text=True, check=False)
    assert again.returncode == 3, again.stderr
    assert tree(out) == uninterrupted
