"""The HTTP server (uvicorn): binding, running, and stopping without losing accepted films."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.apps.serve.service import Service

__all__ = ["bind", "create_server", "noting_signals", "run"]

MAX_CONNECTIONS = 500
"""Open connections; one more is answered 503. A process may commonly open more files than that."""

LAST_ANSWER_S = 2
"""How long a client has to take its answer after the time of grace, seconds."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        UsageError: the address or the port cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot bind to {host} port {port}: {reason}; give another --port, or 0 for any"
        ) from error


@contextmanager
def noting_signals() -> Iterator[Callable[[], bool]]:
    """Note SIGINT and SIGTERM inside the block; the yielded function tells whether one came.

    uvicorn handles them while it serves. A signal before that must not be lost, and the signals
    that uvicorn raises again after a clean end must not end the process.
    """
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [
        signal.signal(number, lambda received, _: came.append(received)) for number in numbers
    ]
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def run(service: Service, listener: socket.socket, *, is_stopped: Callable[[], bool]) -> bool:
    """Serve until SIGINT or SIGTERM, then finish the accepted films.

    `is_stopped` tells whether a signal came before; see `noting_signals`.
    Returns False if some could not be finished within the time of grace. A thread then still works
    on them, and ends only with the process.
    """
    create_server(service, is_stopped=is_stopped).run(sockets=[listener])
    return service.close()


def create_server(service: Service, *, is_stopped: Callable[[], bool] = lambda: False) -> Any:
    """The uvicorn server that `run` runs; it ends at once if `is_stopped()` when it starts."""
    import uvicorn

    from pleura.apps.serve.application import create_application
    from pleura.apps.serve.security.connections import protocol_with_time_limits

    class GracefulServer(uvicorn.Server):
        """Stops the service after the time of grace, then closes it."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.should_exit = self.should_exit or is_stopped()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(service.limits.grace_s, service.stop)
            try:
                await super().shutdown(sockets)
            finally:
                timer.cancel()
                service.close()

    return GracefulServer(
        uvicorn.Config(
            create_application(service),
            ws="none",
            lifespan="off",
            http=protocol_with_time_limits(
                service.limits.headers_s,
                stall_s=service.limits.upload_s,
                bytes_per_s=service.limits.upload_rate,
            ),
            limit_concurrency=MAX_CONNECTIONS,
            log_level="error",  # a client could fill the disk with warnings
            access_log=False,  # requests are not logged
            server_header=False,
            timeout_graceful_shutdown=math.ceil(service.limits.grace_s) + LAST_ANSWER_S,
        )
    )
