"""A small run of the load benchmark: every answer is right, and none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run_benchmark(folder: Path, weights: Path, *options: str) -> dict[str, Any]:
    """The report of the benchmark, which fails if an answer was wrong."""
    out = weights.with_name("load.json")
    program = [sys.executable, "-m", "benchmarks.service.load"]
    command = [*program, folder, "-o", out, "--weights", weights, *options]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def test_32_clients_all_get_the_masks_of_the_command_line(films: Path, tiny_weights: Path) -> None:
    report = run_benchmark(films, tiny_weights, "--clients", "32", "--films", "160")
    assert report["statuses"] == {"200": 160}
    assert (report["wrong"], report["lost"], report["films"]["different"]) == (0, 0, 2)
    assert report["films_per_s"] > 0
    assert report["share_of_engine_alone"] > 0
    assert report["latency_s"]["p95"] >= report["latency_s"]["p50"] > 0
    assert report["memory_mb"]["most"] < report["memory_mb"]["before"] + 100


def test_a_queue_that_overflows_answers_only_200_and_503(films: Path, tiny_weights: Path) -> None:
    report = run_benchmark(films, tiny_weights, "--clients", "32", "--films", "160", "--overflow")
    assert set(report["statuses"]) == {"200", "503"}
    assert (report["wrong"], report["lost"], report["refused_without_retry_after"]) == (0, 0, 0)
