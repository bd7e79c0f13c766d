"""Compressing answers (gzip) for clients that accept it, except pictures and streams."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

__all__ = ["SelectiveGzip"]

_PLAIN_TYPES = ("image/", "application/dicom", "application/x-ndjson")


class SelectiveGzip(GZipMiddleware):
    """Starlette's middleware, but for requests for pictures and for streams.

    PNG and DICOM files, and JSON with pictures in it, would take long and hardly get smaller. The
    lines of a stream would wait in the compressor.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, by the ASGI protocol."""
        if _is_left_plain(scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _is_left_plain(scope: Scope) -> bool:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    if set(query.get("include", ())) - {"rle", "row"}:
        return True
    if "format" in query:
        return query["format"][-1] not in ("json", "csv")
    accept = Headers(scope=scope).get("accept", "")
    return any(part.strip().startswith(_PLAIN_TYPES) for part in accept.split(","))
