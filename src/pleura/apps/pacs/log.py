"""The node's log: what happened, when, to which film by number. It names nobody."""

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

__all__ = ["LOG", "defect", "logging_to_stderr"]

LOG = logging.getLogger("pleura.node")


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Log to stderr, and let nobody else write there."""
    with discard_native_output(), silence_libraries(), _logging(sys.stderr):
        yield


@contextmanager
def _logging(stream: TextIO) -> Iterator[None]:
    handler = logging.StreamHandler(stream)
    form = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    form.converter = time.gmtime
    handler.setFormatter(form)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    threading.excepthook = _unexpected
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        threading.excepthook = threading.__excepthook__


def defect(error: BaseException) -> str:
    """Where an error of ours arose; its text is left out, as it may quote a film."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{place}"


def _unexpected(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None:
        LOG.error("a thread ended: %s", defect(what.exc_value))
