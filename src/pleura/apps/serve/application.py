"""The web application: addresses, page, problems, and the headers of every answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import pleura
from pleura.apps.serve.addresses import addresses
from pleura.apps.serve.figures import Figures
from pleura.apps.serve.pages import page
from pleura.apps.serve.problems import answer_problems
from pleura.apps.serve.service import Service

__all__ = ["application"]

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


def application(service: Service) -> FastAPI:
    """The application that serves with `service`, and closes it when it ends."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None, None]:
        yield
        service.close()

    app = FastAPI(
        title="Pleura",
        version=pleura.__version__,
        description="Finds the lungs in frontal chest films. Nothing is stored. Not for diagnosis.",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.service = service
    app.include_router(addresses)
    app.include_router(page())
    answer_problems(app)
    app.add_middleware(_Outermost, figures=service.figures)
    return app


class _Outermost:
    """Puts the headers on every answer, and counts it."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def finish(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                self._count(scope["method"], message["status"])
            await send(message)

        await self._app(scope, receive, finish)

    def _count(self, method: str, status: int) -> None:
        known = method if method in ("GET", "HEAD", "POST") else "other"
        self._figures.requests.labels(known, str(status)).inc()
