"""The program of a decoder process: it reads requests, decodes films and writes replies.

A request has a file's path or its bytes; a reply has the pixels and the header, or an error. The
program ends when its input ends, when a film takes more processor time than `CPU_S`, or when a
decoder crashes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pleura.core.errors import FilmError
from pleura.io.decoding import out_of_memory
from pleura.io.film import DecodedFilm, ReadOptions

__all__ = ["CPU_S", "MEMORY_BYTES", "main", "read_exactly", "read_header", "write_message"]

CPU_S = 12
"""Processor time that one film may take, s. A JPEG 2000 film of 20 megapixels takes 1 to 2."""

MEMORY_BYTES = 1_150_000_000
"""Memory that one film may take, without that of the program itself."""

_LENGTH = struct.Struct(">I")  # of a message's header, bytes


def main() -> None:
    """Answer requests from standard input on standard output until the input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent process ends this one
        signal.signal(number, signal.SIG_IGN)
    requests, replies = os.fdopen(os.dup(0), "rb", buffering=0), _reply_stream()
    _load_decoders()
    _limit_memory()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the parent process has closed the pipe
        write_message(replies, {"ready": True})
        while True:
            request = read_header(requests)
            content = bytearray(request["bytes"])
            read_exactly(requests, memoryview(content))
            _limit_time()
            fields, contents = _reply(request, bytes(content))
            write_message(replies, fields, *contents)


def write_message(stream: IO[bytes], header: Mapping[str, Any], *contents: Any) -> None:
    """Write a JSON header and then `contents`, contiguous buffers, to an unbuffered stream."""
    body = [memoryview(content).cast("B") for content in contents if len(content)]
    text = json.dumps({**header, "bytes": sum(map(len, body))}).encode()
    for part in (memoryview(_LENGTH.pack(len(text)) + text), *body):
        while part:
            part = part[stream.write(part) :]


def read_header(stream: IO[bytes]) -> dict[str, Any]:
    """Read the header of the next message; its content follows. `EOFError` at the stream's end."""
    length = bytearray(_LENGTH.size)
    read_exactly(stream, memoryview(length))
    text = bytearray(_LENGTH.unpack(length)[0])
    read_exactly(stream, memoryview(text))
    header: dict[str, Any] = json.loads(text)
    return header


def read_exactly(stream: Any, buffer: memoryview) -> None:
    """Fill `buffer` (bytes) from an unbuffered stream; `EOFError` if the stream is too short."""
    while buffer:
        count = stream.readinto(buffer)
        if not count:
            raise EOFError
        buffer = buffer[count:]


def _reply_stream() -> IO[bytes]:
    """Open the stream for replies; from now on, what libraries print is discarded."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    null_device = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_device, 1)
    os.dup2(null_device, 2)
    return replies


def _load_decoders() -> None:
    """Load the library that nearly every film needs, before the limits are set."""
    with contextlib.suppress(Exception):  # a film that needs it gets an error with the remedy
        import gdcm  # noqa: F401


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
        own = int(pages) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY_BYTES,) * 2)


def _limit_time() -> None:
    """Set the processor time of the next film; the system ends this process if it takes more."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = int(usage.ru_utime + usage.ru_stime) + 1
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_S, most))


def _reply(request: Mapping[str, Any], content: bytes) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The reply's fields, the pixels (H, W) float32 and the header; or an error and no bytes."""
    from pleura.io.read import read_here

    source = content if request["path"] is None else request["path"]
    try:
        film = read_here(source, ReadOptions(**request["options"]))
        header = b"" if film.header is None else film.header.to_bytes()
    except FilmError as error:
        return _failed(error), ()
    except MemoryError:
        return _failed(out_of_memory("film's")), ()
    return _fields(film), (film.radiograph.pixels, header)


def _failed(error: FilmError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "message": str(error),
        "can_force": getattr(error, "can_force", False),
    }


def _fields(film: DecodedFilm) -> dict[str, Any]:
    """The fields of a film, without pixels and header, which are sent as bytes."""
    radiograph = film.radiograph
    return {
        "size": radiograph.size,
        "spacing": None if radiograph.spacing is None else asdict(radiograph.spacing),
        "view": radiograph.view,
        "notes": radiograph.notes,
        "doubts": radiograph.doubts,
        "mirrored": radiograph.mirrored,
        "uid": film.uid,
        "no_header": None if film.no_header is None else _failed(film.no_header),
    }
