"""Ctrl-C and SIGTERM end a run on Ray as they end every run, and no process of Ray remains."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

FILMS = 120
WAIT_S = 240.0

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


class OnRay:
    """`pleura segment FILMS -o OUT --ray local` in a session of its own, as of a terminal."""

    def __init__(self, films: Path, out: Path, weights: Path) -> None:
        self.out = out
        self._mark = f"PLEURA_TEST_RUN={uuid4()}"
        options = ("--ray", "local", "--threads", "1", "--workers", "1", "--weights", weights)
        self._line = [sys.executable, "-m", "pleura", "segment", films, "-o", out, *options]
        self._process = self._start()

    def _start(self, *more: str) -> subprocess.Popen[str]:
        name, value = self._mark.split("=")
        return subprocess.Popen(
            [*self._line, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, name: value},
            start_new_session=True,
        )

    def wait_for(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not reached() and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self._process.poll() is None, self._process.communicate()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal to all processes, as a terminal and Slurm do; exit code and stderr."""
        os.killpg(self._process.pid, number)
        _, message = self._process.communicate(timeout=WAIT_S)
        return self._process.returncode, message

    def resume(self) -> tuple[int, str]:
        self._process = self._start("--resume")
        _, message = self._process.communicate(timeout=WAIT_S)
        return self._process.returncode, message

    def processes(self) -> list[str]:
        """The command lines of the run's processes."""
        lines = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (process / "environ").read_bytes():
                    lines.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it has ended
                continue
        return [line for line in lines if line]

    def masks(self) -> set[str]:
        return {path.name.removesuffix("_mask.png") for path in self.out.glob("*_mask.png")}

    def rows(self) -> list[str]:
        with (self.out / "results.csv").open(newline="", encoding="utf-8") as file:
            return [row["film"] for row in csv.DictReader(file) if row["status"] == "done"]

    def ends(self) -> None:
        """Ray's processes end shortly after the command."""
        deadline = time.monotonic() + 60
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == []


@pytest.fixture
def many(films: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(FILMS):
        shutil.copy(films / "a.png", folder / f"{number:03}.png")
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_continued(
    many: Path, tiny_weights: Path, tmp_path: Path, number: signal.Signals
) -> None:
    run = OnRay(many, tmp_path / "out", tiny_weights)
    run.wait_for(lambda: len(run.masks()) >= 3)
    code, message = run.stop(number)
    assert code == 130, message
    assert "Traceback" not in message
    assert "to go; run the same command with --resume to continue" in message
    finished = run.rows()
    assert 1 <= len(finished) < FILMS
    assert set(finished) <= run.masks()
    assert json.loads((run.out / "run.json").read_text())["status"] == "interrupted"
    run.ends()
    code, message = run.resume()
    assert code == 0, message
    assert f"{len(finished)} finished before" in message
    assert run.rows() == [f"{number:03}" for number in range(FILMS)]
    run.ends()


def test_sigterm_while_ray_starts(many: Path, tiny_weights: Path, tmp_path: Path) -> None:
    run = OnRay(many, tmp_path / "out", tiny_weights)
    run.wait_for(lambda: any("gcs_server" in line for line in run.processes()))
    assert run.stop(signal.SIGTERM) == (130, "pleura: interrupted\n")
    run.ends()
    assert not run.masks()
