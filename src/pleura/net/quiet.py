"""Holds back what libraries log while they work for training, export and downloads."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["quiet"]


@contextmanager
def quiet(*loggers: str | logging.Logger, below: int = logging.WARNING) -> Iterator[None]:
    """Inside the block the loggers pass on no record below a level; `""` is the root logger.

    On the use side this is `pleura.io.library_logs`, which spares the records of other threads.
    """
    held = [logging.getLogger(each) if isinstance(each, str) else each for each in loggers]
    levels = [logger.level for logger in held]
    for logger in held:
        logger.setLevel(below)
    try:
        yield
    finally:
        for logger, level in zip(held, levels, strict=True):
            logger.setLevel(level)
