"""The web application: the routes, the page's files, the error handlers and the middleware."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from pleura._version import __version__
from pleura.apps.serve.request_log import REQUEST_ID_HEADER
from pleura.apps.serve.responses.compression import SelectiveGzip
from pleura.apps.serve.responses.http_response import QUALITY_HEADERS
from pleura.apps.serve.responses.problem_details import add_error_handlers
from pleura.apps.serve.routes import router
from pleura.apps.serve.security.middleware import SecurityMiddleware
from pleura.apps.serve.service import Service

__all__ = ["create_application"]


def create_application(service: Service) -> ASGIApp:
    """The ASGI application for `service`. The caller closes the service."""
    app = FastAPI(
        title="Pleura",
        version=__version__,
        description="Finds the lungs in frontal chest films. Nothing is stored. Not for diagnosis.",
        servers=[{"url": service.root_path}] if service.root_path else None,
        openapi_url=None,  # a route of `routes` answers it
        docs_url=None,  # FastAPI's pages load scripts from other sites; the page has its own
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(router)
    app.include_router(_files_router())
    add_error_handlers(app)
    app.add_middleware(SelectiveGzip, minimum_size=_GZIP_FROM_BYTES, compresslevel=5)
    if service.hosts.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.hosts.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-API-Key", REQUEST_ID_HEADER),
            expose_headers=(*QUALITY_HEADERS, REQUEST_ID_HEADER, "Retry-After"),
        )
    return SecurityMiddleware(app, service)


_GZIP_FROM_BYTES = 1000
"""A shorter answer is not compressed: it fits into one packet."""

_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


_ADDRESSES = {"index.html": "/", "docs.html": "/docs"}
"""The addresses of the HTML files; that of another file of the page is `/page/` and its path."""

_SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css")
"""The files that draw `/docs`."""


def _files_router() -> APIRouter:
    """A route for each file of the page, and for those that draw `/docs`."""
    router = APIRouter(include_in_schema=False)
    for name, file in _files(resources.files("pleura.apps.serve") / "page"):
        if name.rpartition(".")[2] in _MEDIA_TYPES:
            _add_file(router, _ADDRESSES.get(name, f"/page/{name}"), file)
    for name in _SWAGGER_UI:
        _add_file(router, f"/docs/{name}", resources.files("fastapi_swagger.resources") / name)
    return router


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    """Every file of a folder and of the folders in it, with its path from the first one."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{above}{entry.name}/")
        else:
            yield f"{above}{entry.name}", entry


def _add_file(router: APIRouter, address: str, file: Traversable) -> None:
    content, media_type = file.read_bytes(), _MEDIA_TYPES[file.name.rpartition(".")[2]]

    async def answer() -> Response:
        return Response(content, media_type=media_type)

    router.add_api_route(address, answer, methods=["GET", "HEAD"])
