"""From a request to the bytes of its films, in memory, and never more of them than allowed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from pleura.apps.serve.hold import Take
from pleura.apps.serve.limits import Limits
from pleura.apps.serve.refusals import CutOff, TooLarge, TooSlow
from pleura.core.errors import UsageError

__all__ = ["Upload", "drain", "is_multipart", "receive"]

DRAIN_S = 5.0
"""How long the rest of a refused body is read and thrown away, so that the client hears why."""


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


async def receive(request: Request, limits: Limits, take: Take) -> list[Upload]:
    """Read the films of a request; `take` hears of every chunk before it is kept.

    Raises:
        Busy: there is no room for it among the other requests' bytes.
        CutOff: the client went away.
        TooLarge: more bytes or films than `limits` allow.
        TooSlow: the body did not arrive in time.
        UsageError: a form that cannot be read, or one without a file.
    """
    try:
        async with asyncio.timeout(limits.upload_s):
            if is_multipart(request):
                return await _parts(request, limits, take)
            chunks = [chunk async for chunk in _chunks(request, limits.request_bytes, take)]
    except TimeoutError:
        raise TooSlow(
            f"the upload took longer than {limits.upload_s:g} s; send a smaller film"
        ) from None
    except ClientDisconnect:
        raise CutOff("the connection was closed before the film was there; send it again") from None
    return [Upload("", b"".join(chunks))]


async def drain(request: Request, limits: Limits) -> None:
    """Read what is left of a refused body, within bounds, and forget it."""
    read = 0
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(DRAIN_S):
            async for chunk in request.stream():
                read += len(chunk)
                if read > limits.request_bytes:
                    return


async def _chunks(request: Request, most: int, take: Take) -> AsyncGenerator[bytes, None]:
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise _too_large(most)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        take(len(chunk))
        yield chunk


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        f"the request is larger than {most / 1e6:g} MB, the most it may be; "
        "send fewer films at a time"
    )


async def _parts(request: Request, limits: Limits, take: Take) -> list[Upload]:
    parser = MultiPartParser(
        request.headers,
        _chunks(request, limits.request_bytes, take),
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
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        if not files:
            raise UsageError("the form holds no file; send one, as `curl -F film=@film.png` does")
        return [Upload(each.filename or "", await each.read()) for each in files]
    finally:
        await form.close()
