"""Options of `pleura segment --ray` that are refused before Ray starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--ray", "127.0.0.1:1"), "there is no Ray cluster at 127.0.0.1:1"),
        (("--ray", "ray://head:10001"), "give local, auto, or HOST:PORT"),
        (("--ray", "head"), "give local, auto, or HOST:PORT"),
    ],
)
def test_impossible_options_of_ray_are_wrong_usage(
    run: Run, films: Path, tmp_path: Path, given: tuple[str, ...], message: str
) -> None:
    ended = run("segment", films, "-o", tmp_path / "out", *given)
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "out" / "results.csv").exists()


def test_without_ray(
    run: Run, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    ended = run("segment", films, "-o", tmp_path / "out", "--ray", "local")
    assert ended.code != 0
    assert "ray" in ended.err
