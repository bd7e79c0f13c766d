"""The program of a worker process on this machine: it takes calls and sends answers, pickled.

The first message has the class of the worker and its arguments; each other one has the name of a
method and its arguments. The program ends at once when its input ends, as it does when the process
that started it ends in any way.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from queue import SimpleQueue
from typing import IO, Any

__all__ = ["main"]


def main() -> None:
    """Answer the calls from standard input on standard output."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the process that started it ends it
        signal.signal(number, signal.SIG_IGN)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    kind, *arguments = pickle.load(requests)
    worker = kind(*arguments)
    calls: SimpleQueue[tuple[str, tuple[Any, ...]]] = SimpleQueue()
    threading.Thread(target=_read, args=(requests, calls), daemon=True).start()
    while True:
        name, arguments = calls.get()
        pickle.dump(_answer(worker, name, arguments), answers)
        answers.flush()


def _read(requests: IO[bytes], calls: SimpleQueue[tuple[str, tuple[Any, ...]]]) -> None:
    """Queue the calls; at the end of the input, end the process, whatever it does."""
    while True:
        try:
            calls.put(pickle.load(requests))
        except EOFError:
            os._exit(0)


def _answer(worker: Any, name: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Whether the call met a defect, and its result or the traceback."""
    try:
        return False, getattr(worker, name)(*arguments)
    except Exception:  # the edge of the process: the defect is raised in the one that called
        return True, traceback.format_exc()
