"""The page: a few files of the package, read once; no request names a file."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter
from fastapi.responses import Response

__all__ = ["page"]

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
