"""The command line of a child process that runs a function of Pleura."""

from __future__ import annotations

import sys

__all__ = ["command"]


def command(module: str) -> list[str]:
    """The command that runs `main()` of a module, with the import path of this process.

    Unlike `multiprocessing`, it does not import the main module of this process again, which may be
    a user's script without a guard.
    """
    program = f"import sys; sys.path[:] = {sys.path!r}; from {module} import main; main()"
    return [sys.executable, "-c", program]
