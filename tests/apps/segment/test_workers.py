"""`pleura segment --workers`: several processes give what one process gives."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.apps.segment.fragile import Fragile, Startless
from tests.apps.segment.outputs import Run, files, report_untimed
from tests.apps.segment.outputs import rows_untimed as rows
from tests.apps.segment.stoppable import StoppableRun

from pleura.apps.segment.workers import processes

FILMS = 24


def test_several_processes_give_what_one_gives(segment: Run, many: Path, tmp_path: Path) -> None:
    plain, out = tmp_path / "plain", tmp_path / "out"
    formats = ("--format", "mask,coco,overlay")
    ended = segment(many, "-o", plain, *formats), segment(many, "-o", out, *formats, "--workers", 3)
    assert [end.code for end in ended] == [3, 3]
    assert rows(out) == rows(plain)
    assert files(out) == files(plain)
    assert report_untimed(out) == report_untimed(plain)
    assert f"{FILMS + 1} films: {FILMS} segmented, 1 failed" in ended[1].err


def test_a_relative_output_folder_has_its_name_in_the_rows_of_both(
    segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (films / "a.png").rename(films / f"{'a' * 250}.png")  # too long with _mask
    for out, *more in (("plain",), ("other", "--workers", "2")):
        assert segment(films, "-o", out, *more).code == 3
    plain, other = (rows(Path(out))["a" * 250]["error"] for out in ("plain", "other"))
    assert plain.startswith("cannot write plain/aaa")
    assert other == plain.replace("plain/", "other/")


def test_a_film_that_ends_its_process_has_a_row_with_the_reason(
    segment: Run, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, out = tmp_path / "plain", tmp_path / "out"
    for name in ("killer", "fragile"):
        shutil.copy(many / "site0" / "0.png", many / f"{name}.png")
    segment(many, "-o", plain)
    monkeypatch.setattr(processes, "Worker", Fragile)
    assert segment(many, "-o", out, "--workers", 2).code == 3
    killed, whole = rows(out)["killer"], rows(plain)
    assert killed["status"] == "failed"
    assert "3 worker processes ended while they segmented this film" in killed["error"]
    assert {**rows(out), "killer": whole["killer"]} == whole
    assert not (out / "killer_mask.png").exists()
    assert not list(out.glob(".*"))  # the files that they had begun are removed


def test_a_defect_in_a_process_ends_the_run_with_its_traceback(
    segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(films / "a.png", films / "defect.png")
    monkeypatch.setattr(processes, "Worker", Fragile)
    ended = segment(films, "-o", tmp_path / "out", "--workers", 2)
    assert ended.code == 1
    assert "ZeroDivisionError: a defect" in ended.err


def test_processes_that_cannot_begin_end_the_run_with_the_cause(
    segment: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "Worker", Startless)
    ended = segment(films, "-o", tmp_path / "out", "--workers", 2)
    assert ended.code == 2
    assert (
        "the workers end before they can begin: no memory for the network (exit code 1); check "
        "that there is enough memory for --workers processes" in " ".join(ended.err.split())
    )


def test_an_error_of_a_process_is_that_of_one_process(
    run: Any, films: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no weights")
    ends = [
        run("segment", films, "-o", tmp_path / "out", "--weights", damaged, *more)
        for more in ((), ("--workers", 2))
    ]
    assert ends[0].code == ends[1].code == 5
    assert ends[0].err == ends[1].err


def test_a_script_without_a_guard_for_its_main_module(
    films: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    call = f"{str(films)!r}, {str(tmp_path / 'out')!r}, weights={str(tiny_weights)!r}, workers=2"
    script.write_text(f"import pleura\nprint(pleura.segment_folder({call}).done)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("3\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
class TestStopped:
    @pytest.fixture
    def stoppable(self, equal_films: Path, tiny_weights: Path, tmp_path: Path) -> StoppableRun:
        for number in range(FILMS, 5 * FILMS):
            shutil.copy(equal_films / "000.png", equal_films / f"{number:03}.png")
        options = ("--workers", "2", "--threads", "1", "--weights", tiny_weights)
        return StoppableRun(equal_films, tmp_path / "out", *options)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_stopped_run_is_continued(
        self, stoppable: StoppableRun, number: signal.Signals
    ) -> None:
        films = [f"{number:03}" for number in range(5 * FILMS)]
        stoppable.is_stopped_and_continued(number, films)

    def test_the_processes_of_a_killed_run_end_with_it(self, stoppable: StoppableRun) -> None:
        stoppable.wait_for(lambda: len(stoppable.masks()) >= 3)
        stoppable.kill()
        stoppable.ends()
        code, message = stoppable.resume()
        assert code == 0, message
        assert len(stoppable.rows()) == 5 * FILMS
