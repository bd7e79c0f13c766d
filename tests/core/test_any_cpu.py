"""A mask does not depend on what the CPU has: numpy and its BLAS are told that it has less."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

RESTORES = """
import hashlib
import numpy as np
from pleura.core.frame import Frame

rng = np.random.default_rng(0)
maps = rng.integers(0, 9, (2, 96, 96)).astype(np.float32) / 8  # many means are a half, exactly
maps[1] = rng.random((96, 96), dtype=np.float32)
seen = hashlib.sha256()
for size in ((700, 500), (97, 131), (40, 60)):
    frame = Frame(*size, 96)
    seen.update(frame.restore(maps).tobytes())
    for small in maps:
        seen.update(frame.above(small, 0.5).tobytes())
print(seen.hexdigest())
"""


def dispatched() -> str:
    """The instruction sets of this CPU that numpy chooses by, and can be told to leave."""
    return " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))


@pytest.fixture(scope="module")
def here() -> str:
    return restored({})


def restored(environment: dict[str, str]) -> str:
    """The digest of what a process with this environment restores."""
    done = subprocess.run(
        [sys.executable, "-c", RESTORES],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    "less",
    [
        {"NPY_DISABLE_CPU_FEATURES": dispatched()},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": dispatched()},
    ],
    ids=["numpy", "AVX2", "SSE3"],
)
def test_restored_maps_are_the_same_to_the_bit(here: str, less: dict[str, str]) -> None:
    assert restored(less) == here
