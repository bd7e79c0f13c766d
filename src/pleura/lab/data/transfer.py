"""A download over HTTP that goes on where it stopped."""

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
"""How often in a row a broken connection is taken up again without a byte gained."""

PAUSE_S = 2.0
"""Between two tries."""

TIMEOUT_S = 30.0
"""Silence after which a connection counts as broken."""

CHUNK = 1 << 18
"""Bytes read at a time."""


class Unreachable(OSError):
    """The server cannot be reached, or does not give the file."""


class Interrupted(OSError):
    """The connection broke; what has come is kept."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Fetches an address into a file, keeping what has come in `part` until all is there.

    Called as `pooch` calls its downloaders. What is in `part` is gone on with only if the server
    says that the file is still the same (ETag or Last-Modified, and its length).
    """

    part: Path
    on_bytes: Callable[[int, int | None], None] = lambda done, total: None  # noqa: ARG005
    """Called with (bytes here, bytes in all or None) after each piece."""

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:  # noqa: ARG002
        """Raises `Unreachable` or `Interrupted`; `part` stays for the next call."""
        idle = 0
        while True:
            before = self._held
            try:
                self._go_on(url)
                break
            except Interrupted:
                idle = idle + 1 if self._held <= before else 0
                if idle >= TRIES:
                    raise
                time.sleep(PAUSE_S)
        self.part.replace(output_file)
        self._facts_file.unlink(missing_ok=True)

    @property
    def _held(self) -> int:
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

    def _go_on(self, url: str) -> None:
        held, facts = self._held, self._facts()
        if held and facts.get("url") != url:
            held = 0  # begun elsewhere, or we do not know where
        if held and held == facts.get("total"):
            return  # killed between the last byte and the end
        with _opened(url, held, facts.get("validator")) as answer:
            start, total = _span(answer, held)
            if start and total != facts.get("total"):
                self.part.unlink()
                raise Interrupted("the file has changed on the server")
            facts = {"url": url, "total": total, "validator": _validator(answer.headers)}
            self._facts_file.write_text(json.dumps(facts), "utf-8")
            with self.part.open("ab" if start else "wb") as file:
                for piece in _pieces(answer):
                    file.write(piece)
                    self.on_bytes(file.tell(), total)
        if total is not None and self._held < total:
            raise Interrupted(f"the connection broke after {self._held} of {total} bytes")


@contextmanager
def _opened(url: str, held: int, validator: str | None) -> Iterator[HTTPResponse]:
    """The server's answer, asked for what follows the first `held` bytes."""
    request = urllib.request.Request(url, headers={"User-Agent": "pleura"})
    if held:
        request.add_header("Range", f"bytes={held}-")
        if validator:  # else the length alone must tell whether it is the same file
            request.add_header("If-Range", validator)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and held:  # nothing follows: the part is whole, or too long
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


def _span(answer: HTTPResponse, held: int) -> tuple[int, int | None]:
    """(first byte that comes, length of the whole file); a server may ignore the range."""
    length = answer.headers.get("Content-Length")
    if answer.status != 206:
        return 0, int(length) if length else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    if not match or int(match[1]) != held:
        raise Unreachable(f"the server sent another range than asked: {answer.headers}")
    return held, int(match[2])


def _validator(headers: Message) -> str | None:
    """What tells this version of the file from another; weak ETags do not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _pieces(answer: HTTPResponse) -> Iterator[bytes]:
    with contextlib.suppress(HTTPException):  # cut short: the caller counts what has come
        while piece := answer.read(CHUNK):
            yield piece
