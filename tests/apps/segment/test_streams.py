"""Runs whose output streams are closed, two runs at once, and a decoder that hangs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.apps.segment.outputs import Run, posix, report, rows

from pleura.apps.segment import pipeline
from pleura.io.film import ReadOptions


def started(*arguments: object, **streams: Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "pleura", *map(str, arguments)]
    return subprocess.Popen(line, text=True, **streams)


@pytest.fixture
def command(films: Path, tmp_path: Path, tiny_weights: Path) -> list[object]:
    """A run over the films into `tmp_path / "out"`."""
    return ["segment", films, "-o", tmp_path / "out", "--weights", tiny_weights, "--threads", 1]


PRINTING = """
import os, sys
from pleura.apps.segment.messages import Printed
show = Printed._show

def printed(self, *arguments):
    for number in (1, 2):
        os.write(number, b"native words\\n")
    show(self, *arguments)

Printed._show = printed
from pleura.apps.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""A run in which a library prints, past Python, for every film."""


@posix
class TestStreams:
    @pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
    def test_a_run_works_with_closed_streams(
        self, command: list[object], tmp_path: Path, closed: str
    ) -> None:
        words = [sys.executable, "-m", "pleura", *map(str, command), "--json"]
        script = f'"$@" {closed}'
        done = subprocess.run(
            ["sh", "-c", script, "sh", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert len(rows(tmp_path / "out")) == 3
        assert len(done.stdout.splitlines()) == (0 if ">&-" in closed.split() else 3)
        assert all(json.loads(line) for line in done.stdout.splitlines())  # no word among them
        report(tmp_path / "out")  # nothing was printed into a file that took a stream's number

    def test_output_of_libraries_on_a_closed_stream_gets_into_no_file(
        self, command: list[object], tmp_path: Path
    ) -> None:
        words = [sys.executable, "-c", PRINTING, *map(str, command)]
        done = subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *words], check=False)
        assert done.returncode == 0
        assert len(rows(tmp_path / "out")) == 3
        files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert [file.name for file in files if b"native words" in file.read_bytes()] == []

    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_a_run_ends_quietly_without_a_reader(
        self, command: list[object], tmp_path: Path, unbuffered: str
    ) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
        with started(*command, "--json", **pipes) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            messages = process.stderr.read()
            code = process.wait(timeout=120)
        assert (code, messages) == (141, "")
        assert report(tmp_path / "out")["done"] == len(rows(tmp_path / "out")) >= 1
        again = subprocess.run(
            [sys.executable, "-m", "pleura", *map(str, command), "--resume"], check=False
        )
        assert again.returncode == 0

    @pytest.mark.parametrize(
        "arguments", [("--help",), ("--version",), ("segment", "--help"), ("info", "--json")]
    )
    @pytest.mark.parametrize("unbuffered", ["", "1"])
    def test_other_commands_end_quietly_without_a_reader(
        self, arguments: tuple[str, ...], unbuffered: str
    ) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        reading, writing = os.pipe()
        os.close(reading)
        with started(
            *arguments, stdout=writing, stderr=subprocess.PIPE, env=environment
        ) as process:
            os.close(writing)
            assert process.stderr is not None
            messages = process.stderr.read()
        assert (process.returncode, messages) == (141, "")

    def test_a_run_continues_without_a_reader_of_stderr(
        self, command: list[object], films: Path, tmp_path: Path
    ) -> None:
        (films / "bad.png").write_bytes(b"")
        reading, writing = os.pipe()
        os.close(reading)
        with started(*command, stderr=writing) as process:
            os.close(writing)
        assert process.returncode == 3
        assert len(rows(tmp_path / "out")) == 4

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
    def test_stdout_that_takes_no_more_is_1(self, command: list[object]) -> None:
        with (
            Path("/dev/full").open("w") as full,
            started(*command, "--json", stdout=full, stderr=subprocess.PIPE) as process,
        ):
            assert process.stderr is not None
            messages = process.stderr.read()
        assert process.returncode == 1
        assert messages.count("No space left on device") == 1
        assert "Traceback" not in messages


class TestTwoRuns:
    def test_a_second_run_into_one_folder_is_refused_without_changes(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out = tmp_path / "out"
        seconds: list[subprocess.CompletedProcess[str]] = []
        read = pipeline.read_film

        def meanwhile(path: Path, options: ReadOptions) -> Any:
            if not seconds:
                seconds.extend(map(second, ("--resume", "--overwrite")))
            return read(path, options)

        def second(option: str) -> subprocess.CompletedProcess[str]:
            words = ("segment", films, "-o", out, option)
            line = [sys.executable, "-m", "pleura", *map(str, words)]
            return subprocess.run(line, capture_output=True, text=True, check=False)

        monkeypatch.setattr(pipeline, "read_film", meanwhile)
        assert segment(films, "-o", out, "--jobs", 1).code == 0
        assert len(rows(out)) == 3
        assert len(seconds) == 2
        for done in seconds:
            assert done.returncode == 2
            assert f"another run is writing into {out}: process {os.getpid()} on" in done.stderr
        assert not list(out.glob(".pleura-*"))


STUCK = """
import sys, time
from pleura.apps.segment import pipeline

def read(path, options):
    if path.name == "b.png":
        open(sys.argv[1], "w").close()
        getattr(__import__("ctypes").CDLL(None), "sleep")(600)  # as a decoder: deaf, not in Python
    return real(path, options)

real, pipeline.read_film = pipeline.read_film, read
from pleura.apps.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_whose_decoder_does_not_come_back(
    command: list[object], tmp_path: Path, number: signal.Signals
) -> None:
    begun = tmp_path / "begun"
    line = [sys.executable, "-c", STUCK, str(begun), *map(str, command), "--jobs", "1"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not begun.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.5)  # the film before it is finished meanwhile
        process.send_signal(number)
        since = time.monotonic()
        assert process.stderr is not None
        messages = process.stderr.read()
        assert process.wait(timeout=60) == 130
        lasted = time.monotonic() - since
    assert lasted < 30  # 2 s on a machine with nothing else to do; 600 if the thread was waited for
    assert "interrupted with 2 films to go" in messages
    assert list(rows(tmp_path / "out")) == ["a"]
    assert report(tmp_path / "out")["status"] == "interrupted"
