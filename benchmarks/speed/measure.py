"""Shared by the speed benchmarks: the machine's description, interleaved timing, result files."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pleura.io.files.atomic import atomic_write
from pleura.runtime.threads import cpu_features, cpu_model, usable_cpus

RESULTS = Path("benchmarks/results/speed")
"""The programs are run from the checkout."""

PACKAGES = ("pleura", "numpy", "onnxruntime", "openvino", "torch", "monai")

Key = TypeVar("Key", bound=Hashable)


def interleaved(
    calls: Mapping[Key, Callable[[], object]], *, rounds: int
) -> dict[Key, list[float]]:
    """Seconds of every call, taken in turn: other work on the machine slows all equally."""
    times: dict[Key, list[float]] = {key: [] for key in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for key, call in calls.items():
            start = time.perf_counter()
            call()
            times[key].append(time.perf_counter() - start)
    return times


def machine(threads: int | None) -> dict[str, Any]:
    """The machine that was measured, without a name that identifies it."""
    return {
        "cpu": cpu_model(),
        "features": sorted(
            cpu_features() & {"AVX2", "FMA3", "AVX512F", "AVX512VNNI", "AVX512_SPR", "ASIMDDP"}
        ),
        "cpus": os.cpu_count(),
        "threads": threads or usable_cpus(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def write_result(name: str, result: Mapping[str, Any]) -> Path:
    """Write `benchmarks/results/speed/NAME.json`."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"made": datetime.now(UTC).isoformat(timespec="seconds"), **result}
    with atomic_write(path, "w") as file:
        file.write(json.dumps(made, indent=1) + "\n")
    return path
