"""From options to a `Segmenter`: every door opens its engine here."""

from __future__ import annotations

import difflib
from pathlib import Path

from pleura.core.errors import UsageError, WeightsError
from pleura.core.types import Definition
from pleura.runtime.engine import Engine
from pleura.runtime.segmenter import Segmenter

__all__ = ["ENGINES", "open_engine", "open_segmenter"]

ENGINES = ("onnxruntime",)
"""What can compute; the first is the default."""


def open_segmenter(
    weights: Path | None = None,
    *,
    engine: str = ENGINES[0],
    threads: int | None = None,
    lungs: Definition = "field",
) -> Segmenter:
    """A segmenter with the shipped weights, or those of a file.

    Raises:
        UsageError: an engine of that name is not known, or the weights lack that definition.
        WeightsError: the weights are missing, altered, or no weights.
    """
    return Segmenter(open_engine(weights, engine=engine, threads=threads), definition=lungs)


def open_engine(
    weights: Path | None = None, *, engine: str = ENGINES[0], threads: int | None = None
) -> Engine:
    """The engine alone, whatever definitions its weights give; raises as `open_segmenter`."""
    if engine not in ENGINES:
        near = difflib.get_close_matches(engine, ENGINES, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(ENGINES)}"
        raise UsageError(f"no engine is called '{engine}'; {hint}")
    from pleura.runtime.engine import OnnxEngine
    from pleura.runtime.segmenter import Segmenter
    from pleura.runtime.weights import shipped

    content = shipped() if weights is None else _read(weights)
    return OnnxEngine(content, threads=threads)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"cannot read the weights {path} ({error.strerror}); "
            "give the .onnx file that `pleura export` wrote, or leave --weights out"
        ) from error
