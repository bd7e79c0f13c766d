"""Ctrl-C as a wish, not an accident; and a way out where a thread does not come back."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

from pleura.io.decoder_process import stop_decoders

__all__ = ["Interrupt", "give_up", "leave_if_stuck"]

GRACE_S = 1.0
"""How long films that are under way may take to be finished, once a stop is asked for, s."""

_given_up: list[threading.Thread] = []
"""Threads that a run left behind, as they did not end in time."""


class Interrupt:
    """Inside `with`, the first Ctrl-C (or SIGTERM) is only noted; a second one raises.

    Elsewhere than in the main thread, where Python gives no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0
        self._before: dict[int, Any] = {}

    @property
    def overdue(self) -> bool:
        """Whether the stop was asked for so long ago that nothing is waited for any more."""
        return self.requested and time.monotonic() - self._since > GRACE_S

    def request(self) -> None:
        """Ask for a stop, as Ctrl-C does."""
        self._since = time.monotonic()
        self.requested = True

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.requested:
            raise KeyboardInterrupt
        self.request()


def give_up(thread: threading.Thread) -> None:
    """Note that nobody waits for this thread any more."""
    _given_up.append(thread)


def leave_if_stuck(code: int) -> None:
    """End the process here and now if a thread that was given up still works.

    Python waits for its threads at the end, and one that is inside a decoder cannot be stopped.
    """
    if any(thread.is_alive() for thread in _given_up):
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        stop_decoders()
        os._exit(code)
