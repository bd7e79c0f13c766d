"""The node's log: events with their time, and films by number. It has no names of patients."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pleura.apps.quiet import discard_native_output, silence_libraries

__all__ = ["LOG", "describe_defect", "logging_to_stderr"]

LOG = logging.getLogger("pleura.node")


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Log to stderr inside the block, and discard what libraries write there."""
    with discard_native_output(), silence_libraries(), _logging(sys.stderr):
        yield


@contextmanager
def _logging(stream: TextIO) -> Iterator[None]:
    handler = logging.StreamHandler(stream)
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    threading.excepthook = _log_thread_error
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        threading.excepthook = threading.__excepthook__


def describe_defect(error: BaseException) -> str:
    """The class and the place of an unexpected error, without its text, which may quote a film."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{place}"


def _log_thread_error(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        LOG.error("a thread ended: %s", describe_defect(arguments.exc_value))
