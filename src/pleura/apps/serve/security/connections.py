"""HTTP connections with time limits, against clients that send or read too slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["protocol_with_time_limits"]

_REQUEST_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 37\r\nConnection: close\r\n\r\nthe request's headers came too slowly"
)


class _Timer:
    """Calls `action` so many seconds after `start`, unless `stop` is called before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, action: Callable[[], None]):
        self._loop, self._seconds, self._action = loop, seconds, action
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer, unless it runs already."""
        if self._handle is None:
            self._handle = self._loop.call_later(self._seconds, self._action)

    def stop(self) -> None:
        """Stop the timer, if it runs."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def protocol_with_time_limits(headers_s: float, answer_s: float) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol with time limits, which it has not by itself.

    The headers of a request must arrive within `headers_s` seconds: after the connection was made,
    or after their first byte on a connection that was used before. Headers that began and came too
    late are answered 408; a connection without any byte is closed. A connection whose client
    has not read an answer `answer_s` seconds after it was ready is cut.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class ProtocolWithTimeLimits(H11Protocol):
        _has_data = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._headers_timer = _Timer(self.loop, headers_s, self._end_slow_headers)
            self._headers_timer.start()
            self._answer_timer = _Timer(self.loop, answer_s, self._cut_unread_answer)

        def data_received(self, data: bytes) -> None:
            self._has_data = True
            super().data_received(data)
            has_headers = self.cycle is not None and not self.cycle.response_complete
            (self._headers_timer.stop if has_headers else self._headers_timer.start)()

        def connection_lost(self, exc: Exception | None) -> None:
            self._headers_timer.stop()
            self._answer_timer.stop()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.get_write_buffer_size():
                self._answer_timer.start()

        def _end_slow_headers(self) -> None:
            is_answered = self.cycle is not None and self.cycle.more_body
            if self._has_data and not is_answered:  # if answered, the rest of a rejected body comes
                self.transport.write(_REQUEST_TIMEOUT)
            self.transport.close()

        def _cut_unread_answer(self) -> None:
            self._answer_timer.stop()
            if self.transport.get_write_buffer_size():
                self.transport.abort()

    return ProtocolWithTimeLimits
