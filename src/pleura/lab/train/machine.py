"""The machine of a training run: device, precision, worker processes and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import torch

__all__ = ["Machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The hardware and its use. It changes the weights by rounding errors only."""

    accelerator: str = "auto"
    """auto, cuda, mps or cpu."""

    devices: int = 1
    strategy: str = "auto"
    """A strategy of Lightning, such as ddp."""

    precision: str = "auto"
    """auto, 32-true, bf16-mixed or 16-mixed."""

    workers: int = 0
    """Processes that prepare batches; 0 prepares them between steps."""

    max_time: timedelta | None = None
    """The time limit, from the start of `train`; for a resumed run it starts again."""

    threads: int | None = None
    """Threads of the CPU; None for torch's own choice."""

    progress: bool = True
    """Whether a bar is shown."""

    lines: bool = False
    """Whether a line of the log is written after each epoch, for a log without a bar."""

    @property
    def device(self) -> str:
        """The accelerator, with `auto` resolved."""
        if self.accelerator != "auto":
            return self.accelerator
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    @property
    def resolved_precision(self) -> str:
        """The precision, with `auto` resolved: 16 bits only if the hardware computes in 16 bits."""
        if self.precision != "auto":
            return self.precision
        if self.device == "cuda":
            return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
        native = self.device == "cpu" and torch.cpu._is_avx512_bf16_supported()
        return "bf16-mixed" if native else "32-true"

    def limit_threads(self) -> None:
        """Let torch use the stated number of threads; nothing changes without one."""
        if self.threads is not None:
            torch.set_num_threads(self.threads)
