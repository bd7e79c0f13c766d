"""A run in a session of its own, which a test stops and continues."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

WAIT_S = 240.0


class StoppableRun:
    """`pleura segment FILMS -o OUT` in a session of its own, as of a terminal."""

    def __init__(self, films: Path, out: Path, *options: str | Path) -> None:
        self.out = out
        self._mark = f"PLEURA_TEST_RUN={uuid4()}"
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

    def kill(self) -> None:
        """Kill the command alone."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=WAIT_S)

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
        """Worker processes end shortly after the command."""
        deadline = time.monotonic() + 60
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert self.processes() == []

    def is_stopped_and_continued(self, number: signal.Signals, films: list[str]) -> None:
        """Stop the run after some films, and continue it to its end."""
        self.wait_for(lambda: len(self.masks()) >= 3)
        code, message = self.stop(number)
        assert code == 130, message
        assert "Traceback" not in message
        assert "to go; run the same command with --resume to continue" in message
        finished = self.rows()
        assert 1 <= len(finished) < len(films)
        assert set(finished) <= self.masks()
        assert json.loads((self.out / "run.json").read_text())["status"] == "interrupted"
        self.ends()
        code, message = self.resume()
        assert code == 0, message
        assert f"{len(finished)} finished before" in message
        assert self.rows() == films
        self.ends()
