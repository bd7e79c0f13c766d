"""The outermost middleware: it checks hosts, adds headers, and counts and logs responses."""

from __future__ import annotations

import asyncio
import contextlib
import time

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pleura.apps.serve.request_log import (
    REQUEST_ID,
    REQUEST_ID_HEADER,
    log_request,
    new_request_id,
)
from pleura.apps.serve.responses.problem_details import error_response, log_defect
from pleura.apps.serve.service import Service

__all__ = ["SecurityMiddleware"]

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
"""Headers of every response: the browser loads nothing from other sites and stores nothing."""

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")

DRAIN_S = 5.0
"""How long the rest of a rejected body is read and dropped, so that the client gets the answer."""


class SecurityMiddleware:
    """An ASGI application around another: checks hosts, adds headers, counts and logs responses."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, by the ASGI protocol."""
        scope["root_path"] = self._service.root_path  # routes are found with and without it
        headers = Headers(scope=scope)
        request_id = new_request_id(headers.get(REQUEST_ID_HEADER))
        REQUEST_ID.set(request_id)
        start = time.perf_counter()
        body = _RequestBody(scope, receive)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in {**HEADERS, REQUEST_ID_HEADER: request_id}.items():
                    out[name] = value
                self._note(scope, message["status"], seconds=time.perf_counter() - start)
                if self._must_drain(message["status"]):
                    await body.drain(self._service.limits.request_bytes)
            await send(message)

        refusal = self._service.hosts.refusal(scope["method"], headers)
        app = self._app if refusal is None else error_response(Request(scope), refusal)
        try:
            await app(scope, body.receive, send_with_headers)
        except Exception as error:  # a defect: it is answered by now, or the server cuts it off
            log_defect(error)

    def _must_drain(self, status: int) -> bool:
        """Whether the rest of the body is read before the response is sent."""
        return status >= 400 and status != 408 and not self._service.is_stopped

    def _note(self, scope: Scope, status: int, *, seconds: float) -> None:
        """Count a response, and log it if requests are logged."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = _route(scope)
        self._service.metrics.requests.labels(method, route, str(status)).inc()
        log_request(method=method, route=route, status=status, seconds=seconds)


def _route(scope: Scope) -> str:
    """The pattern of the request's address: `/page` and `/docs` for files, `none` for no route."""
    path: str = getattr(scope.get("route"), "path", "none")
    return next((name for name in ("/page", "/docs") if path.startswith(f"{name}/")), path)


class _RequestBody:
    """A request's body, and whether some of it is still to come."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        headers = Headers(scope=scope)
        self._receive = receive
        self._has_more = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._awaits_continue = headers.get("expect", "").lower() == "100-continue"
        """The client sends the body only after a `100 Continue`."""

    async def receive(self) -> Message:
        """The next message, by the ASGI protocol."""
        message = await self._receive()
        self._awaits_continue = False
        self._has_more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self, limit_bytes: int) -> None:
        """Read and drop the rest of the body, up to `limit_bytes` and `DRAIN_S`.

        Without this the connection would be reset and the client would not get the answer.
        """
        size = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._has_more and not self._awaits_continue and size <= limit_bytes:
                    size += len((await self.receive()).get("body", b""))
