"""From a request to the bytes of its films, in memory, and never more of them than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from io import BytesIO

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from pleura.apps.serve.limits import Limits, Part
from pleura.apps.serve.problems import CutOff, TooLarge, TooSlow
from pleura.core.errors import UnreadableFilm, UsageError

__all__ = ["Upload", "is_multipart", "receive"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One film as it came."""

    name: str
    """The client's name for it, empty if it gave none; only ever given back, never opened."""

    content: bytes


def is_multipart(request: Request) -> bool:
    """Whether the films are parts of a form; any other body is one film."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "multipart/form-data"


async def receive(request: Request, limits: Limits, part: Part) -> list[Upload]:
    """Read the films of a request; `part` hears of what is announced, and of what comes.

    Raises:
        Busy: there is no room for it among the other requests' bytes.
        CutOff: the client went away.
        TooLarge: more bytes or films than `limits` allow.
        TooSlow: the body did not arrive in time, or comes too slowly to arrive.
        UnreadableFilm: the body is compressed.
        UsageError: a form that cannot be read, or one that does not hold films alone.
    """
    _check_coding(request)
    announced = _announced(request, limits.request_bytes)
    part.reserve(announced)
    chunks = _chunks(request, limits, part, announced)
    try:
        if is_multipart(request):
            return await _parts(request, limits, chunks)
        content = BytesIO()  # gives its bytes without a copy, and small chunks cost no more
        async for chunk in chunks:
            content.write(chunk)
    except TimeoutError:
        raise TooSlow(
            f"the upload was slower than {limits.upload_s:g} s for all of it; send a smaller film"
        ) from None
    except ClientDisconnect:
        raise CutOff("the connection was closed before the film was there; send it again") from None
    return [Upload("", content.getvalue())]


def _check_coding(request: Request) -> None:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnreadableFilm(
            f"the body is compressed (Content-Encoding: {coding}), which this service does not "
            "undo; send the film as it is"
        )


def _announced(request: Request, most: int) -> int:
    """The body's length in bytes as the client announces it; 0 if it does not."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else 0
    if size > most:
        raise _too_large(most)
    return size


async def _chunks(
    request: Request, limits: Limits, part: Part, announced: int
) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Whoever has announced it keeps room that others wait for, so it has
    to come as fast as it must to be there in time, give or take the time that headers have.
    """
    size, stream = 0, request.stream()
    start = asyncio.get_running_loop().time()
    while True:
        share = size / announced if announced else 1.0
        patience_s = min(limits.upload_s, limits.headers_s + share * limits.upload_s)
        async with asyncio.timeout_at(start + patience_s):
            chunk = await anext(stream, None)
        if chunk is None:
            return
        size += len(chunk)
        if size > limits.request_bytes:
            raise _too_large(limits.request_bytes)
        part.take(len(chunk))
        yield chunk


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the request is larger than {most / 1e6:g} MB, the most it may be; "
        "send fewer films at a time"
    )


async def _parts(
    request: Request, limits: Limits, chunks: AsyncGenerator[bytes, None]
) -> list[Upload]:
    parser = MultiPartParser(
        request.headers,
        chunks,
        max_files=limits.request_films,
        max_fields=limits.request_films,
        max_part_size=1000,
    )
    parser.spool_max_size = limits.request_bytes + 1  # never met: no part goes to the disk
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise TooLarge(
                f"a request may bring {limits.request_films} films; send them in several requests"
            ) from None
        raise UsageError(
            f"the form cannot be read ({error.message}); "
            "send each film as a file, as `curl -F film=@film.png` does"
        ) from None
    except (KeyError, UnicodeError, ValueError):  # of headers that are no headers
        raise UsageError("the form cannot be read; send it as `curl -F` does") from None
    try:
        fields = form.multi_items()
        for name, value in fields:
            if not isinstance(value, UploadFile):
                raise UsageError(
                    f"the form's field {name!r} is no file; give parameters in the address, as in "
                    "?lungs=whole, and films as `curl -F film=@film.png` does"
                )
        files = [value for _, value in fields if isinstance(value, UploadFile)]
        if not files:
            raise UsageError("the form holds no file; send one, as `curl -F film=@film.png` does")
        return [Upload(file.filename or "", await file.read()) for file in files]
    finally:
        await form.close()
        for file in getattr(parser, "_files_to_close_on_error", ()):  # of parts cut short
            file.close()
