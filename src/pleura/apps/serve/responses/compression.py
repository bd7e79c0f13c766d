"""Compressing answers (gzip) for clients that accept it, except pictures, which are compressed."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

__all__ = ["GzipUnlessPictures"]

_PICTURE_TYPES = ("image/", "application/dicom")


class GzipUnlessPictures(GZipMiddleware):
    """Starlette's middleware, but for requests for pictures.

    PNG and DICOM files, and JSON with pictures in it, would take long and hardly get smaller.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, by the ASGI protocol."""
        if _asks_for_pictures(scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _asks_for_pictures(scope: Scope) -> bool:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if set(query.get("include", ())) - {"rle", "row"}:
        return True
    if "format" in query:
        return query["format"][-1] not in ("json", "csv", "ndjson")
    accept = Headers(scope=scope).get("accept", "")
    return any(part.strip().startswith(_PICTURE_TYPES) for part in accept.split(","))
