"""The server under the application: how it begins, and how it ends."""

from __future__ import annotations

import asyncio
import math
import signal
import socket
from typing import TYPE_CHECKING, Any

from pleura.core.errors import UsageError

if TYPE_CHECKING:
    from pleura.apps.serve.service import Service

__all__ = ["bind", "run", "server_of"]

MOST_CONNECTIONS = 500
"""Open at a time; one more is answered 503. Below the files a process may commonly have open."""

LEAVE_S = 2
"""How long a client has to take its answer once the time of grace is over."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; `UsageError` where there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot bind to {host} port {port}: {reason}; give another --port, or 0 for any"
        ) from error


def run(service: Service, bound: socket.socket) -> bool:
    """Serve until SIGINT or SIGTERM, then finish what was accepted.

    False if some of it could not be finished within the time of grace: a thread of this process
    still works on it then, and only the end of the process ends it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # uvicorn raises them again after a clean end
    server_of(service).run(sockets=[bound])
    return service.close()


def server_of(service: Service) -> Any:
    """The uvicorn server that `run` runs."""
    import uvicorn

    from pleura.apps.serve.application import application
    from pleura.apps.serve.connections import prompt_protocol

    class Ending(uvicorn.Server):
        """Gives up what is under way when the time of grace is over, then closes the service."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(service.limits.grace_s, service.give_up)
            try:
                await super().shutdown(sockets)
            finally:
                timer.cancel()
                service.close()

    return Ending(
        uvicorn.Config(
            application(service),
            ws="none",
            lifespan="off",
            http=prompt_protocol(service.limits.headers_s, service.limits.upload_s),
            limit_concurrency=MOST_CONNECTIONS,
            log_level="error",  # below, strangers could fill a disk with warnings
            access_log=False,  # nothing of a request is logged
            server_header=False,
            timeout_graceful_shutdown=math.ceil(service.limits.grace_s) + LEAVE_S,
        )
    )
