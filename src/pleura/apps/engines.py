"""From options to an engine: every door opens its own here."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from pleura.core.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from pleura.runtime.engine import Engine

__all__ = ["ENGINES", "open_engine"]

ENGINES = ("onnxruntime",)
"""What can compute; the first is the default."""


def open_engine(
    weights: Path | None = None, *, name: str = ENGINES[0], threads: int | None = None
) -> Engine:
    """An engine with the shipped weights, or those of a file.

    Raises:
        UsageError: no engine is called that.
        WeightsError: the weights are missing, altered, or no weights.
    """
    if name not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(ENGINES)}"
        raise UsageError(f"no engine is called '{name}'; {hint}")
    from pleura.runtime.engine import OnnxEngine
    from pleura.runtime.weights import shipped

    return OnnxEngine(shipped() if weights is None else _read(weights), threads=threads)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cannot read the weights {path} ({error.strerror}); "
            "give the .onnx file that `pleura export` wrote, or leave --weights out"
        ) from error
