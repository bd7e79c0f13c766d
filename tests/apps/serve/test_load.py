"""The load of benchmarks/service/load.py, small: every answer right, none lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def loaded(folder: Path, weights: Path, *options: str) -> dict[str, Any]:
    """What the benchmark writes; it fails if an answer was wrong."""
    out = weights.with_name("load.json")
    program = [sys.executable, "-m", "benchmarks.service.load"]
    command = [*program, folder, "-o", out, "--weights", weights, *options]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    told: dict[str, Any] = json.loads(out.read_text())
    return told


def test_32_clients_all_get_the_masks_of_the_command_line(films: Path, tiny_weights: Path) -> None:
    told = loaded(films, tiny_weights, "--clients", "32", "--films", "160")
    assert told["statuses"] == {"200": 160}
    assert (told["wrong"], told["lost"], told["films"]["different"]) == (0, 0, 2)
    assert told["films_per_s"] > 0
    assert told["share_of_engine_alone"] > 0
    assert told["latency_s"]["p95"] >= told["latency_s"]["p50"] > 0
    assert told["memory_mb"]["most"] < told["memory_mb"]["before"] + 100


def test_a_queue_that_overflows_answers_only_200_and_503(films: Path, tiny_weights: Path) -> None:
    told = loaded(films, tiny_weights, "--clients", "32", "--films", "160", "--overflow")
    assert set(told["statuses"]) == {"200", "503"}
    assert (told["wrong"], told["lost"], told["refused_without_retry_after"]) == (0, 0, 0)
