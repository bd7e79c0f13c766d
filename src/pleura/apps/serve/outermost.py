"""What stands before every address: who may ask, the headers of every answer, and its count."""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pleura.apps.serve.problems import log_defect, respond
from pleura.apps.serve.service import Service

__all__ = ["Outermost"]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing from elsewhere is loaded, and nothing is kept."""

DRAIN_S = 5.0
"""How long the rest of a refused body is read and thrown away, so that the client hears why."""


class Outermost:
    """An ASGI application around another: checks hosts, adds headers, counts answers."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        body = _Body(scope, receive)

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                self._count(scope["method"], message["status"])
                if self._is_worth_a_wait(message["status"]):
                    await body.drain(self._service.limits.request_bytes)
            await send(message)

        refusal = self._service.hosts.refusal(scope["method"], Headers(scope=scope))
        app = self._app if refusal is None else respond(Request(scope), refusal)
        try:
            await app(scope, body.receive, finish)
        except Exception as error:  # a defect: answered by now, or cut off by the server
            log_defect(error)

    def _is_worth_a_wait(self, status: int) -> bool:
        """Whether the rest of the body is read before the answer is sent."""
        return status >= 400 and status != 408 and not self._service.is_given_up

    def _count(self, method: str, status: int) -> None:
        known = method if method in ("GET", "HEAD", "POST") else "other"
        self._service.figures.requests.labels(known, str(status)).inc()


class _Body:
    """A request's body, and whether some of it is still to come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._more = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._waits = headers.get("expect", "").lower() == "100-continue"
        """The client sends nothing before it is asked to."""

    async def receive(self) -> Message:
        """As ASGI has it."""
        message = await self._receive()
        self._waits = False
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self, most: int) -> None:
        """Read what is left, within bounds, and forget it; or the client is cut off, and hears
        no answer.
        """
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._more and not self._waits and read <= most:
                    read += len((await self.receive()).get("body", b""))
