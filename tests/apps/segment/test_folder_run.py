"""`pleura segment` over folders as people have them: all is messages, and nothing ends the run."""

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
from typing import Any

import pytest
from PIL import Image

from pleura.apps.segment import pipeline
from pleura.io.film import ReadOptions
from pleura.runtime.openvino_engine import OpenVinoEngine

Run = Callable[..., Any]
posix = pytest.mark.skipif(os.name == "nt", reason="streams and signals of POSIX")


@pytest.fixture
def segment(run: Run, tiny_weights: Path) -> Run:
    """`pleura segment ... --weights tiny.onnx --threads 1`."""
    return lambda *arguments: run("segment", *arguments, "--weights", tiny_weights, "--threads", 1)


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len({line["film"] for line in lines}) == len(lines)
    return {line["film"]: line for line in lines}


def report(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "run.json").read_text())
    return report


class TestWhatIsLeftOut:
    def test_it_is_named_at_the_end_and_in_the_report(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        (films / ".LAT CHEST").mkdir()
        shutil.copy(films / "a.png", films / ".LAT CHEST")
        ended = segment(films, "-o", tmp_path / "out")
        assert ended.code == 0
        assert f"left out 1 hidden file or folder: {films}/.LAT CHEST\n" in ended.err
        assert f"left out 1 file of another kind: {films}/notes.txt\n" in ended.err
        left_out = report(tmp_path / "out")["left_out"]
        assert left_out["hidden"] == {"count": 1, "first": [f"{films}/.LAT CHEST"]}
        assert segment(films, "-o", tmp_path / "quiet", "-q").err == ""

    def test_unreadable_folders_give_exit_code_3(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scan = os.scandir

        def scandir(path: str) -> object:
            if Path(path) == films / "deep":
                raise PermissionError(13, "Permission denied")
            return scan(path)

        monkeypatch.setattr(os, "scandir", scandir)
        ended = segment(films, "-o", tmp_path / "out", "-q")
        assert ended.code == 3
        assert ended.err == f"could not read {films}/deep: Permission denied\n"
        assert list(rows(tmp_path / "out")) == ["a", "b"]
        assert report(tmp_path / "out")["unreadable"] == {f"{films}/deep": "Permission denied"}

    def test_results_of_an_earlier_run_are_no_films(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        formats = ("--format", "mask,overlay,crop,split,labels")
        assert segment(films, "-o", films / "out", *formats).code == 0
        ended = segment(films, "-o", tmp_path / "other")
        assert ended.code == 0
        assert list(rows(tmp_path / "other")) == ["a", "b", "deep/a"]
        assert "left out 20 results of earlier runs" in ended.err  # 3 x 6, the table, the report


class TestOneFilmThatCannotBeWritten:
    def test_a_name_too_long_fails_alone_and_the_run_continues(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        shutil.copy(films / "a.png", films / ("0" * 251 + ".png"))
        for more in ((), ("--resume",)):
            ended = segment(films, "-o", tmp_path / "out", *more)
            table = rows(tmp_path / "out")
            assert ended.code == 3
            assert [row["status"] for row in table.values()] == ["failed", "done", "done", "done"]
            assert "File name too long; give the film a shorter name" in table["0" * 251]["error"]

    def test_a_folder_or_a_file_in_the_way(self, segment: Run, films: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        (out / "b_mask.png" / "full").mkdir(parents=True)
        (out / "deep").write_text("a file where a folder is needed")
        ended = segment(films, "-o", out)
        table = rows(out)
        assert ended.code == 3
        assert {film: row["status"] for film, row in table.items()} == {
            "a": "done", "b": "failed", "deep/a": "failed"
        }  # fmt: skip
        for film in ("b", "deep/a"):
            assert "cannot write" in table[film]["error"]
            assert "move away what is there" in table[film]["error"]
        shutil.rmtree(out / "b_mask.png")
        (out / "deep").unlink()
        assert segment(films, "-o", out, "--resume").code == 0


class TestNames:
    def test_a_neighbour_of_the_same_stem_gives_no_second_row(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        segment(films, "-o", out)
        Image.open(films / "a.png").save(films / "a.jpg")
        ended = segment(films, "-o", out, "--resume")
        assert ended.code == 0
        assert "4 films: 1 segmented, 3 finished before" in ended.err
        assert {film: Path(row["path"]).name for film, row in rows(out).items()} == {
            "a": "a.png", "a_jpg": "a.jpg", "b": "b.png", "deep/a": "a.png"
        }  # fmt: skip
        assert "4 finished before" in segment(films, "-o", out, "--resume").err

    @posix
    def test_names_that_are_odd_in_a_table_come_back(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        for name in ("new\nline", "=1+1", "@a", "a%0Ab", "-5", "'=x", "esc\x1b[2J"):
            shutil.copy(films / "a.png", films / f"{name}.png")
        ended = segment(films, "-o", out, "--json")
        assert ended.code == 0
        assert {"new%0Aline", "'=1+1", "'@a", "a%250Ab", "'-5", "''=x"} < set(rows(out))
        assert "=1+1" in [json.loads(line)["film"] for line in ended.out.splitlines()]
        assert (out / "=1+1_mask.png").exists()
        before = (out / "results.csv").read_bytes()
        again = segment(films, "-o", out, "--resume")
        assert "10 films: 0 segmented, 10 finished before" in again.err
        assert (out / "results.csv").read_bytes() == before
        (films / "esc\x1b[2J.png").write_bytes(b"")
        (out / "esc\x1b[2J_mask.png").unlink()
        assert "\x1b" not in segment(films, "-o", out, "--resume").err

    def test_a_pipe_is_never_waited_for(self, segment: Run, films: Path, tmp_path: Path) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes in this system's folders")
        for name in ("named.png", "listed.png", "films/inside.png", "films/IM0001"):
            os.mkfifo(tmp_path / name)
        (tmp_path / "list.txt").write_text("listed.png\n")
        inputs = (tmp_path / "named.png", tmp_path / "list.txt", films)
        ended = segment(*inputs, "-o", tmp_path / "out")
        table = rows(tmp_path / "out")
        assert ended.code == 3
        assert "left out 2 pipes or devices" in ended.err
        assert {film for film, row in table.items() if row["status"] == "failed"} == {
            "named", "listed"
        }  # fmt: skip
        assert "it is a pipe, where a file is expected" in table["named"]["error"]

    def test_a_pipe_put_in_a_films_place_during_the_run(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes in this system's folders")
        read = pipeline.read_film

        def swapped(path: Path, options: ReadOptions) -> Any:
            if path.name == "b.png":
                path.unlink()
                os.mkfifo(path)
            return read(path, options)

        monkeypatch.setattr(pipeline, "read_film", swapped)
        assert segment(films, "-o", tmp_path / "out").code == 3
        assert "it is a pipe" in rows(tmp_path / "out")["b"]["error"]


class TestCoco:
    def test_one_file_of_all_films_with_their_own_names(
        self, segment: Run, films: Path, tmp_path: Path
    ) -> None:
        out = tmp_path / "out"
        (films / "bad.png").write_bytes(b"")
        segment(films, "-o", out, "--format", "coco")
        one = json.loads((out / "deep/a_coco.json").read_text())
        assert one["images"][0]["file_name"] == "a.png"
        merged = json.loads((out / "coco.json").read_text())
        assert [(image["id"], image["file_name"]) for image in merged["images"]] == [
            (1, "a.png"), (2, "b.png"), (3, "deep/a.png")
        ]  # fmt: skip
        assert [image["height"] for image in merged["images"]] == [160, 200, 240]
        annotations = merged["annotations"]
        assert [annotation["id"] for annotation in annotations] == list(
            range(1, len(annotations) + 1)
        )
        assert {annotation["image_id"] for annotation in annotations} == {1, 2, 3}
        assert merged["categories"] == one["categories"]
        own = [annotation for annotation in annotations if annotation["image_id"] == 3]
        assert [{**annotation, "id": 0, "image_id": 0} for annotation in own] == [
            {**annotation, "id": 0, "image_id": 0} for annotation in one["annotations"]
        ]


class TestMemory:
    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc in node x")])
    def test_a_film_too_large_for_the_engine_s_memory_is_reported(
        self,
        segment: Run,
        films: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
    ) -> None:
        def predict(*_: Any) -> None:
            raise error

        monkeypatch.setattr(OpenVinoEngine, "predict", predict)
        ended = segment(films / "a.png", "-o", tmp_path / "out")
        assert ended.code == 3
        assert rows(tmp_path / "out")["a"]["error"].startswith("this needs more memory than")
        assert "defect" not in ended.err

    def test_a_network_that_does_not_fit_is_1_and_no_defect(
        self, segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def load(*_: Any, **__: Any) -> None:
            raise RuntimeError("Exception from src/inference: can't alloc")

        monkeypatch.setattr(OpenVinoEngine, "__init__", load)
        ended = segment(films / "a.png", "-o", tmp_path / "out")
        assert ended.code == 1
        assert ended.err.startswith("pleura: this needs more memory than")


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
    def test_a_run_with_closed_streams_is_a_run(
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

    def test_what_a_library_prints_on_a_closed_stream_gets_into_no_file(
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
