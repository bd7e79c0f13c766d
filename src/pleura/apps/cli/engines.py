"""Opens an engine from the options of a command."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pleura.runtime.open import ENGINES, Choice, read_weights

if TYPE_CHECKING:
    from pleura.runtime.engine import Engine

__all__ = [
    "ENGINES",
    "Choice",
    "cache_folder",
    "open_engine",
    "read_weights",
]


def open_engine(
    *weights: Path | bytes, choice: Choice | None = None, threads: int | None = None
) -> Engine:
    """An engine with the shipped weights, or those of files or their bytes.

    Several weights make an ensemble. `threads` replaces the choice's.

    Raises:
        ModuleNotFoundError: the engine is not installed.
        UsageError: the choice does not go with these weights or this machine.
        WeightsError: the weights are missing, altered, the file holds no weights, or several have
            different channels.
    """
    from pleura.runtime.open import open_weights

    choice = replace(choice or Choice(), cache=str(cache_folder() or ""))
    if threads is not None:
        choice = replace(choice, threads=threads)
    contents = [read_weights(given) if isinstance(given, Path) else given for given in weights]
    return open_weights(*contents, choice=choice)


def cache_folder() -> Path | None:
    """The folder for compiled graphs; None without XDG_CACHE_HOME and without a home folder."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "pleura"
    try:
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path.home() / ".cache"
    except RuntimeError:  # no HOME, and a user that the system does not know
        return None
    return base / "pleura"
