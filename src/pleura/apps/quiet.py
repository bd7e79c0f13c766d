"""For programs that run long and speak of nobody's films: only our own words are heard.

Libraries log, warn and print, and may quote what they read. Decoders written in C and C++ print to
the process's stdout and stderr, past Python.
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

__all__ = ["native_text_hidden", "only_us"]

_TALKATIVE = (*LIBRARIES, "pynetdicom", "dicomweb_client", "urllib3", "python_multipart")


@contextmanager
def only_us() -> Iterator[None]:
    """Keep the records of libraries' logs, and Python's warnings, from stderr."""
    with ExitStack() as undo:
        for name in _TALKATIVE:
            undo.enter_context(_closed_in(logging.getLogger(name)))
        undo.enter_context(catch_warnings())
        simplefilter("ignore")
        yield


@contextmanager
def _closed_in(logger: logging.Logger) -> Iterator[None]:
    """Without handlers of its own or above, its records are heard by nobody."""
    nobody, before = logging.NullHandler(), logger.propagate
    logger.addHandler(nobody)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(nobody)
        logger.propagate = before


@contextmanager
def native_text_hidden() -> Iterator[None]:
    """Inside, only Python's `sys.stdout` and `sys.stderr` are heard; processes begun are not.

    Changes nothing for a stream that is not the process's own, as in tests and notebooks.
    """
    _fill_closed()
    with ExitStack() as undo:
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            if _leads_to(stream, number):
                undo.enter_context(_moved(name, stream, number))
        yield


@contextmanager
def _moved(name: str, stream: TextIO, number: int) -> Iterator[None]:
    stream.flush()
    kept = os.dup(number)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
    moved = open(  # noqa: PTH123, SIM115
        kept, "w", encoding=stream.encoding, errors=stream.errors, buffering=1
    )
    setattr(sys, name, moved)
    try:
        yield
    finally:
        moved.flush()
        setattr(sys, name, stream)
        os.dup2(kept, number)
        moved.close()


def _fill_closed() -> None:
    """Let no file that is opened later take the number of a stream that was closed."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _leads_to(stream: TextIO | None, number: int) -> bool:
    """Whether a stream writes to the file of this number; a closed or a replaced one does not."""
    try:
        return stream is not None and stream.fileno() == number
    except (OSError, ValueError, AttributeError):
        return False
