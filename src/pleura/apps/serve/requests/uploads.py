"""Receiving uploads: the films of a request are read into memory, within the limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass
from io import BytesIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from pleura.apps.serve.errors import CutOff, TooLarge, TooSlow
from pleura.apps.serve.limits.limits import Limits
from pleura.apps.serve.limits.pace import Pace
from pleura.apps.serve.limits.upload_memory import RequestMemory
from pleura.core.errors import UnreadableFilm, UsageError

__all__ = ["Upload", "is_multipart", "receive_uploads"]

_LOOK_S = 1.0
"""The interval at which a wait for bytes checks how much memory the uploads hold, s."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded film."""

    name: str
    """The client's name for it, empty if it gave none. Only the response contains it; no file of
    this name is opened."""

    content: bytes


def is_multipart(request: Request) -> bool:
    """Whether the films are parts of a form. Any other body is one film."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "multipart/form-data"


async def receive_uploads(request: Request, limits: Limits, memory: RequestMemory) -> list[Upload]:
    """Read the films of a request; `memory` counts the announced and the arrived bytes.

    Raises:
        Busy: the memory for uploads has no room.
        CutOff: the client closed the connection.
        TooLarge: more bytes or films than `limits` allow.
        TooSlow: the body stopped, or arrives too slowly (`limits.pace`).
        UnreadableFilm: the body is compressed.
        UsageError: a form that cannot be read, or that contains other fields than films.
    """
    _check_content_encoding(request)
    announced_bytes = _content_length(request, limits.request_bytes)
    memory.reserve(announced_bytes)
    chunks = _chunks(request, limits, memory, announced_bytes)
    try:
        if is_multipart(request):
            return await _form_uploads(request, limits, chunks)
        content = BytesIO()  # gives its bytes without a copy, also after many small chunks
        async for chunk in chunks:
            content.write(chunk)
    except TimeoutError:
        raise TooSlow(limits.upload_s, limits.upload_rate) from None
    except ClientDisconnect:
        raise CutOff from None
    return [Upload("", content.getvalue())]


def _check_content_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise UnreadableFilm(
            f"the body is compressed (Content-Encoding: {encoding}), which this service does not "
            "undo; send the film as it is"
        )


def _content_length(request: Request, limit_bytes: int) -> int:
    """The body's length in bytes by the header `Content-Length`; 0 without one."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else 0
    if size > limit_bytes:
        raise TooLarge.in_bytes(limit_bytes)
    return size


async def _chunks(
    request: Request, limits: Limits, memory: RequestMemory, announced_bytes: int
) -> AsyncGenerator[bytes, None]:
    """The chunks of the body; `TimeoutError` if it does not keep the pace."""
    size, stream, clock = 0, request.stream(), asyncio.get_running_loop().time
    pace = Pace(limits, announced_bytes=announced_bytes, now=clock())
    while True:
        chunk = await _in_time(anext(stream, None), pace, memory)
        if chunk is None:
            return
        size += len(chunk)
        pace.add(len(chunk), now=clock())
        if size > limits.request_bytes:
            raise TooLarge.in_bytes(limits.request_bytes)
        memory.add_arrived(len(chunk))
        yield chunk


async def _in_time(
    coming: Awaitable[bytes | None], pace: Pace, memory: RequestMemory
) -> bytes | None:
    """The next chunk, or None at the end; `TimeoutError` if it does not come in time."""
    task, clock = asyncio.ensure_future(coming), asyncio.get_running_loop().time
    try:
        while not task.done():
            left_s = pace.end(is_crowded=memory.is_crowded) - clock()
            if left_s <= 0:
                raise TimeoutError
            await asyncio.wait({task}, timeout=min(left_s, _LOOK_S))
        return task.result()
    finally:
        task.cancel()
        del task  # an error of the task refers to this frame: without it, there is no cycle


async def _form_uploads(
    request: Request, limits: Limits, chunks: AsyncGenerator[bytes, None]
) -> list[Upload]:
    """The films of a form. No part of it is written to the disk."""
    parser = MultiPartParser(
        request.headers,
        chunks,
        max_files=limits.request_films,
        max_fields=limits.request_films,
        max_part_size=1000,
    )
    parser.spool_max_size = limits.request_bytes + 1  # a part would be spooled beyond this size
    form = await _parse_form(parser, limits)
    try:
        return [Upload(file.filename or "", await file.read()) for file in _files(form)]
    finally:
        await form.close()
        for file in getattr(parser, "_files_to_close_on_error", ()):  # of incomplete parts
            file.close()


async def _parse_form(parser: MultiPartParser, limits: Limits) -> FormData:
    try:
        return await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise TooLarge.in_films(limits.request_films) from None
        raise UsageError(
            f"the form cannot be read ({error.message}); "
            "send each film as a file, as `curl -F film=@film.png` does"
        ) from None
    except (KeyError, UnicodeError, ValueError):  # the parser raises these on invalid headers
        raise UsageError("the form cannot be read; send it as `curl -F` does") from None


def _files(form: FormData) -> list[UploadFile]:
    """The files of a form; `UsageError` if it has no file, or another field."""
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
    return files
