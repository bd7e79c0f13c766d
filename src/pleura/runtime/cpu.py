"""What this CPU computes quickly."""

from __future__ import annotations

import importlib

__all__ = ["INT8_FEATURES", "cpu_features", "int8_pays"]

INT8_FEATURES = frozenset({"AVX2", "AVX512VNNI", "ASIMDDP"})
"""With any of these, the int8 graph was measured faster than fp32, or has instructions for it:
1.8 times on AVX2 alone, see docs/explanation/performance.md."""


def cpu_features() -> frozenset[str]:
    """The names, as numpy calls them, of the instruction sets that this CPU has."""
    known = importlib.import_module("numpy._core._multiarray_umath")
    found: dict[str, bool] = getattr(known, "__cpu_features__", {})
    return frozenset(name for name, here in found.items() if here)


def int8_pays() -> bool:
    """Whether the int8 graph is the faster one here; no where numpy does not tell."""
    return bool(INT8_FEATURES & cpu_features())
