"""HTTP connections with time limits, against clients that send or read too slowly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

__all__ = ["protocol_with_time_limits"]

_SEND_BUFFER_BYTES = 131_072
"""The size of the system's buffer for data that a client has not read yet. With a larger one, a
client that reads slowly would be noticed late."""

_REQUEST_TIMEOUT = (
    b"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 37\r\nConnection: close\r\n\r\nthe request's headers came too slowly"
)


class _Timer:
    """Calls `action` `seconds` seconds after `start`, unless `stop` is called before."""

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


class _ReadingWatch:
    """Cuts a connection whose client stops reading a ready answer, or reads it too slowly."""

    def __init__(self, transport: Any, loop: Any, *, stall_s: float, bytes_per_s: float) -> None:
        self._transport, self._least_bytes = transport, stall_s * bytes_per_s
        self._timer = _Timer(loop, stall_s, self._check)
        self._unread_bytes = 0

    def start(self) -> None:
        """Watch the data that is not read yet, if there is any."""
        self.stop()
        self._unread_bytes = self._transport.get_write_buffer_size()
        if self._unread_bytes:
            self._timer.start()

    def stop(self) -> None:
        """Stop watching."""
        self._timer.stop()

    def _check(self) -> None:
        read_bytes = self._unread_bytes - self._transport.get_write_buffer_size()
        if read_bytes < min(self._unread_bytes, self._least_bytes):
            self._transport.abort()
        else:
            self.start()


def protocol_with_time_limits(
    headers_s: float, *, stall_s: float, bytes_per_s: float
) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol with time limits, which Uvicorn itself does not have.

    The headers of a request must arrive within `headers_s` seconds: after the connection was made,
    or after their first byte on a connection that was used before. Headers that began and came too
    late are answered 408; a connection without any byte is closed. A connection whose client
    reads less of a ready answer than `bytes_per_s` over `stall_s` seconds is cut.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class ProtocolWithTimeLimits(H11Protocol):
        _has_data = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES
            )
            self._headers_timer = _Timer(self.loop, headers_s, self._end_slow_headers)
            self._headers_timer.start()
            self._reading = _ReadingWatch(
                transport, self.loop, stall_s=stall_s, bytes_per_s=bytes_per_s
            )

        def data_received(self, data: bytes) -> None:
            self._has_data = True
            super().data_received(data)
            has_headers = self.cycle is not None and not self.cycle.response_complete
            (self._headers_timer.stop if has_headers else self._headers_timer.start)()

        def connection_lost(self, exc: Exception | None) -> None:
            self._headers_timer.stop()
            self._reading.stop()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reading.start()  # a streamed answer is not complete yet

        def resume_writing(self) -> None:
            super().resume_writing()
            self._reading.stop()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._reading.start()

        def _end_slow_headers(self) -> None:
            is_answered = self.cycle is not None and self.cycle.more_body
            if self._has_data and not is_answered:  # if answered, the rest of a rejected body comes
                self.transport.write(_REQUEST_TIMEOUT)
            self.transport.close()

    return ProtocolWithTimeLimits
