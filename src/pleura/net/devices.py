"""The devices that torch can compute on."""

from __future__ import annotations

import torch

__all__ = ["best_device"]


def best_device() -> str:
    """`cuda NAME`, `mps` or `cpu`: the first one that is available."""
    if torch.cuda.is_available():
        return f"cuda {torch.cuda.get_device_name()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"
