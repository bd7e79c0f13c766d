"""Ctrl-C and SIGTERM end a run on Ray as they end every run, and no process of Ray remains."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from tests.apps.segment.stoppable import StoppableRun

FILMS = 120

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture
def on_ray(equal_films: Path, tiny_weights: Path, tmp_path: Path) -> StoppableRun:
    options = ("--ray", "local", "--threads", "1", "--workers", "1", "--weights", tiny_weights)
    return StoppableRun(equal_films, tmp_path / "out", *options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_continued(on_ray: StoppableRun, number: signal.Signals) -> None:
    on_ray.is_stopped_and_continued(number, [f"{number:03}" for number in range(FILMS)])


def test_sigterm_while_ray_starts(on_ray: StoppableRun) -> None:
    on_ray.wait_for(lambda: any("gcs_server" in line for line in on_ray.processes()))
    assert on_ray.stop(signal.SIGTERM) == (130, "pleura: interrupted\n")
    on_ray.ends()
    assert not on_ray.masks()
