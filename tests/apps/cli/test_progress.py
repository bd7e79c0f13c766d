"""Signs of life of a long run, where there is a terminal and where there is none."""

from __future__ import annotations

import io
import sys
import time

import pytest

from pleura.apps.cli import progress
from pleura.apps.cli.progress import FilmProgress, _Lines


def test_a_line_says_how_far_the_run_is() -> None:
    lines = _Lines(400, 100)
    assert lines._line(120) == "100 of 400 films, none new in 2 min"
    lines.done = 112
    # 12 films in 120 s: 0.1 a second; 288 are left, 2880 s or 48 min.
    assert lines._line(120) == "112 of 400 films, 0.1 a second, about 48 min left"
    lines.done = 398  # 298 in 149 s: 2 a second
    assert lines._line(149) == "398 of 400 films, 2 a second, about 1 s left"
    lines.done = 101  # 299 films of 60 s each: 17,940 s
    assert lines._line(60) == "101 of 400 films, 0.017 a second, about 5.0 h left"


def test_without_a_terminal_lines_come_though_no_film_is_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    monkeypatch.setattr(progress, "say", lines.append)
    with FilmProgress(3):
        deadline = time.monotonic() + 30
        while len(lines) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(lines) >= 2
    assert set(lines) == {"0 of 3 films, none new in 0 min"}
    lines.clear()
    with FilmProgress(3, quiet=True):
        time.sleep(0.05)
    assert lines == []


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError


@pytest.mark.parametrize("stream", [None, Gone()])
def test_a_closed_stderr_is_no_error(
    stream: io.StringIO | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with FilmProgress(3) as bar:
        bar.advance()
        bar.say("failed: a film")
    assert capsys.readouterr().out == ""
