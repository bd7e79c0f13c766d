"""Connections: a client that sends its headers, or takes its answer, drop by drop is not waited
for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["prompt_protocol"]

_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 37\r\nConnection: close\r\n\r\nthe request's headers came too slowly"
)


class _Deadline:
    """Calls `act` so many seconds after `start`, unless it is stopped before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, act: Callable[[], None]):
        self._loop, self._seconds, self._act = loop, seconds, act
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, if it has not begun."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._act)

    def stop(self) -> None:
        """Forget it, if it has begun."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def prompt_protocol(headers_s: float, taken_s: float) -> type[asyncio.Protocol]:
    """The HTTP protocol of uvicorn, which by itself waits for a client without end.

    Each request's line and headers must be there `headers_s` seconds after the connection was
    made, or after the first of their bytes on one that was used before. What has begun is answered
    408; a connection on which nothing came is closed. An answer that was not taken `taken_s`
    seconds after it was ready is forgotten, and the connection cut.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Prompt(H11Protocol):
        _begun = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._deadline = _Deadline(self.loop, headers_s, self._end)
            self._deadline.start()
            self._leaving = _Deadline(self.loop, taken_s, self._cut)

        def data_received(self, data: bytes) -> None:
            self._begun = True
            super().data_received(data)
            has_headers = self.cycle is not None and not self.cycle.response_complete
            (self._deadline.stop if has_headers else self._deadline.start)()

        def connection_lost(self, exc: Exception | None) -> None:
            self._deadline.stop()
            self._leaving.stop()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.get_write_buffer_size():
                self._leaving.start()

        def _end(self) -> None:
            is_answered = self.cycle is not None and self.cycle.more_body
            if self._begun and not is_answered:  # else the rest of a refused body never ends
                self.transport.write(_SLOW)
            self.transport.close()

        def _cut(self) -> None:
            self._leaving.stop()
            if self.transport.get_write_buffer_size():
                self.transport.abort()

    return Prompt
