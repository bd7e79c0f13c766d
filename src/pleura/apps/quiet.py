"""Silencing libraries in services, whose logs must not contain data of a film.

Libraries log, warn and print, and may quote what they read. Decoders written in C and C++ print
directly to the process's stdout and stderr, without Python.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO
from warnings import catch_warnings, simplefilter

from pleura.io.library_logs import LIBRARIES

__all__ = ["discard_native_output", "silence_libraries"]

_LOGGERS = (*LIBRARIES, "pynetdicom", "dicomweb_client", "urllib3", "python_multipart")


@contextmanager
def silence_libraries() -> Iterator[None]:
    """Discard the libraries' log records and Python's warnings inside the block."""
    with ExitStack() as contexts:
        for name in _LOGGERS:
            contexts.enter_context(_discard_records(logging.getLogger(name)))
        contexts.enter_context(catch_warnings())
        simplefilter("ignore")
        yield


@contextmanager
def _discard_records(logger: logging.Logger) -> Iterator[None]:
    """Discard the records of a logger: a null handler takes them, and its parents do not."""
    null_handler, propagate = logging.NullHandler(), logger.propagate
    logger.addHandler(null_handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(null_handler)
        logger.propagate = propagate


@contextmanager
def discard_native_output() -> Iterator[None]:
    """Discard what native code prints inside the block. `sys.stdout` and `sys.stderr` still work.

    Processes that are started inside the block print nothing either. A stream that is not the
    process's own, as in tests and notebooks, stays unchanged.
    """
    _reserve_standard_descriptors()
    with ExitStack() as contexts:
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            if _writes_to(stream, number):
                contexts.enter_context(_moved_to_new_descriptor(name, stream, number))
        yield


@contextmanager
def _moved_to_new_descriptor(name: str, stream: TextIO, number: int) -> Iterator[None]:
    """Let `sys.stdout` or `sys.stderr` write to a copy of descriptor `number`, and that to null."""
    stream.flush()
    copy = os.dup(number)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
    moved = open(  # noqa: PTH123, SIM115
        copy, "w", encoding=stream.encoding, errors=stream.errors, buffering=1
    )
    setattr(sys, name, moved)
    try:
        yield
    finally:
        moved.flush()
        setattr(sys, name, stream)
        os.dup2(copy, number)
        moved.close()


def _reserve_standard_descriptors() -> None:
    """Open null for closed descriptors 0 to 2, so that no later file takes their number."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _writes_to(stream: TextIO | None, number: int) -> bool:
    """Whether a stream writes to this file descriptor; a closed or a replaced one does not."""
    try:
        return stream is not None and stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        return False
