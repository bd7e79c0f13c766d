"""Suppressing log records of libraries during training, export and downloads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet(*loggers: str | logging.Logger, below: int = logging.WARNING) -> Iterator[None]:
    """Inside the block the loggers drop records below a level; `""` is the root logger.

    It acts on all threads. `pleura.io.library_logs`, for the reading of films, acts on one thread.
    """
    silenced = [
        logging.getLogger(logger) if isinstance(logger, str) else logger for logger in loggers
    ]
    levels = [logger.level for logger in silenced]
    for logger in silenced:
        logger.setLevel(below)
    try:
        yield
    finally:
        for logger, level in zip(silenced, levels, strict=True):
            logger.setLevel(level)
