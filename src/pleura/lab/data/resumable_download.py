"""A resumable download over HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

__all__ = ["Interrupted", "Transfer", "Unreachable"]

TRIES = 5
"""The number of successive tries without a new byte."""

PAUSE_S = 2.0
"""The pause between two tries, seconds."""

TIMEOUT_S = 30.0
"""The time without data after which a connection counts as broken, seconds."""

CHUNK = 1 << 18
"""The bytes to read at a time."""


class Unreachable(OSError):
    """The server cannot be reached, or does not give the file."""


class Interrupted(OSError):
    """The connection broke; the part that has arrived is kept."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Downloads a URL into a file; `part` has the received bytes until it is complete.

    It is called as a downloader of `pooch`. A download is resumed only if the file on the server
    has not changed (by ETag or Last-Modified, and length).
    """

    part: Path
    on_bytes: Callable[[int, int | None], None] = lambda done, total: None  # noqa: ARG005
    """Called with (bytes arrived, all bytes or None) after each chunk."""

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:  # noqa: ARG002
        """Raises `Unreachable` or `Interrupted`; `part` stays for the next call."""
        idle = 0
        while True:
            before = self._arrived
            try:
                self._resume(url)
                break
            except Interrupted:
                idle = idle + 1 if self._arrived <= before else 0
                if idle >= TRIES:
                    raise
                time.sleep(PAUSE_S)
        self.part.replace(output_file)
        self._facts_file.unlink(missing_ok=True)

    @property
    def _arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    @property
    def _facts_file(self) -> Path:
        return self.part.with_name(self.part.name + ".json")

    def _facts(self) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads(self._facts_file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return facts

    def _resume(self, url: str) -> None:
        arrived, facts = self._arrived, self._facts()
        if arrived and facts.get("url") != url:
            arrived = 0  # these bytes are from another URL
        if arrived and arrived == facts.get("total"):
            return  # the process ended after the last byte
        with _opened(url, arrived, facts.get("validator")) as answer:
            start, total = _span(answer, arrived)
            if start and total != facts.get("total"):
                self.part.unlink()
                raise Interrupted("the file has changed on the server")
            facts = {"url": url, "total": total, "validator": _validator(answer.headers)}
            self._facts_file.write_text(json.dumps(facts), "utf-8")
            with self.part.open("ab" if start else "wb") as file:
                for chunk in _chunks(answer):
                    file.write(chunk)
                    self.on_bytes(file.tell(), total)
        if total is not None and self._arrived < total:
            raise Interrupted(f"the connection broke after {self._arrived} of {total} bytes")


@contextmanager
def _opened(url: str, arrived: int, validator: str | None) -> Iterator[HTTPResponse]:
    """The server's answer to a request for the bytes after the first `arrived` ones."""
    request = urllib.request.Request(url, headers={"User-Agent": "pleura"})
    if arrived:
        request.add_header("Range", f"bytes={arrived}-")
        if validator:  # without one, only the length shows whether the file is the same
            request.add_header("If-Range", validator)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and arrived:  # no bytes follow: the part is complete, or too long
            with _opened(url, 0, None) as answer:
                yield answer
            return
        raise Unreachable(f"the server answers {error.code} {error.reason}") from error
    except TimeoutError as error:
        raise Interrupted(f"no answer within {TIMEOUT_S:g} s") from error
    except (urllib.error.URLError, ValueError) as error:
        raise Unreachable(str(getattr(error, "reason", error))) from error
    except (HTTPException, ConnectionError) as error:
        raise Interrupted(str(error) or type(error).__name__) from error


def _span(answer: HTTPResponse, arrived: int) -> tuple[int, int | None]:
    """(first byte of the answer, length of the complete file); a server may ignore the range."""
    length = answer.headers.get("Content-Length")
    if answer.status != 206:
        return 0, int(length) if length else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    if not match or int(match[1]) != arrived:
        raise Unreachable(f"the server sent another range than requested: {answer.headers}")
    return arrived, int(match[2])


def _validator(headers: Message) -> str | None:
    """The value of the header that identifies this version of the file; weak ETags do not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _chunks(answer: HTTPResponse) -> Iterator[bytes]:
    with contextlib.suppress(HTTPException):  # incomplete: the caller counts the received bytes
        while chunk := answer.read(CHUNK):
            yield chunk
