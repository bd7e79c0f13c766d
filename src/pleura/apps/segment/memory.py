"""Which errors mean that memory is used up."""

from __future__ import annotations

import errno

__all__ = ["OUT_OF_MEMORY", "is_out_of_memory"]

OUT_OF_MEMORY = (
    "this needs more memory than the machine has left; close other programs, take fewer --jobs "
    "and a smaller --batch-size, or make large films smaller"
)

_SIGNS = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "cannot allocate memory",
    "could not allocate",
    "not enough memory",
    "out of memory",
    "can't alloc",
    "can't start new thread",
    "resource temporarily unavailable",
)
"""Words in the errors of C++ libraries, which have other classes, that mean the same."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory is used up; errors of an engine are recognised too."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)
