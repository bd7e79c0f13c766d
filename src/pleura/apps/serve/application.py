"""The web application: its addresses, its page and its problems."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from starlette.types import ASGIApp

import pleura
from pleura.apps.serve.outermost import Outermost
from pleura.apps.serve.problems import answer_problems
from pleura.apps.serve.routes import addresses
from pleura.apps.serve.service import Service

__all__ = ["application", "page"]


def application(service: Service) -> ASGIApp:
    """The application that serves with `service`; whoever runs it closes the service."""
    app = FastAPI(
        title="Pleura",
        version=pleura.__version__,
        description="Finds the lungs in frontal chest films. Nothing is stored. Not for diagnosis.",
        openapi_url=None,  # among the addresses, as one of them
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(addresses)
    app.include_router(page())
    answer_problems(app)
    return Outermost(app, service)


_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def page() -> APIRouter:
    """An address for each file of the page; `/` is its HTML."""
    router = APIRouter(include_in_schema=False)
    for each in (resources.files("pleura.apps.serve") / "page").iterdir():
        media_type = _MEDIA_TYPES.get(each.name.rpartition(".")[2])
        if media_type:
            _add(router, each.name, Response(each.read_bytes(), media_type=media_type))
    return router


def _add(router: APIRouter, name: str, response: Response) -> None:
    async def answer() -> Response:
        return response

    address = "/" if name == "index.html" else f"/page/{name}"
    router.add_api_route(address, answer, methods=["GET", "HEAD"])
