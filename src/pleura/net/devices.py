"""What torch can compute on here."""

from __future__ import annotations

import torch

__all__ = ["best_device"]


def best_device() -> str:
    """`cuda NAME`, `mps` or `cpu`: the first there is."""
    if torch.cuda.is_available():
        return f"cuda {torch.cuda.get_device_name()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"
