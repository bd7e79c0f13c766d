"""What is to compute, where and how: names only, so that the doors load nothing for it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pleura.core.errors import UsageError

__all__ = ["DEVICES", "ENGINES", "PRECISIONS", "Choice"]

ENGINES = ("auto", "openvino", "onnxruntime")
"""What can compute. `auto` is the quickest for the device: openvino, which comes with the base
install, on the cpu; onnxruntime elsewhere."""

DEVICES = ("cpu", "cuda", "coreml")
"""Where; the last two need an onnxruntime that was built for them."""

PRECISIONS = ("auto", "int8", "bf16", "fp32")
"""How exactly; `auto` is int8 where this CPU is faster at it and there are such weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to compute, where and how; the defaults are right for most.

    Raises:
        UsageError: a name nobody knows, or two that do not go together.
    """

    engine: str = ENGINES[0]
    device: str = DEVICES[0]
    precision: str = PRECISIONS[0]
    fast: bool = False
    """Take the smaller shipped network."""

    threads: int | None = None
    """CPUs that the network may use; None takes all this process may."""

    streams: int = 1
    """Calls computed at the same time, each on its share of the threads; more wait their turn."""

    cache: str = ""
    """A folder for compiled graphs; none if empty."""

    def __post_init__(self) -> None:
        _check(self.engine, ENGINES, "engine")
        _check(self.device, DEVICES, "device")
        _check(self.precision, PRECISIONS, "precision")
        if self.engine == "openvino" and self.device != "cpu":
            raise UsageError(
                f"openvino computes on the cpu here; for {self.device} take onnxruntime"
            )
        if self.library == "onnxruntime" and self.precision == "bf16":
            raise UsageError("onnxruntime does not compute in bf16; take --engine openvino")

    @property
    def library(self) -> str:
        """The engine, once `auto` is resolved."""
        if self.engine != "auto":
            return self.engine
        return "openvino" if self.device == "cpu" else "onnxruntime"


def _check(given: str, known: Sequence[str], what: str) -> None:
    if given not in known:
        near = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
        raise UsageError(f"no {what} is called '{given}'; {hint}")
