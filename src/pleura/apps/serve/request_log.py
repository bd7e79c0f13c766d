"""Request ids, and the log of requests as lines of JSON. It has no names, contents or addresses."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

__all__ = ["REQUEST_ID", "REQUEST_ID_HEADER", "log_request", "logging_requests", "new_request_id"]

REQUEST_ID_HEADER = "X-Request-ID"

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered; empty outside of one."""

_VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

_log = logging.getLogger("pleura.serve")


def new_request_id(given: str | None) -> str:
    """The client's or the proxy's id if it is a short plain word, otherwise a new one."""
    return given if given and _VALID_ID.fullmatch(given) else uuid.uuid4().hex


def log_request(*, method: str, route: str, status: int, seconds: float) -> None:
    """Log one answered request inside of `logging_requests`. `route` is the address's pattern."""
    if _log.level != logging.INFO:
        return
    fields = {"method": method, "route": route, "status": status, "seconds": round(seconds, 4)}
    _log.info("request", extra={"fields": fields})


@contextmanager
def logging_requests(stream: TextIO | None = None) -> Iterator[None]:
    """Log requests and defects as one JSON object a line, by default to stderr."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(_JsonLines())
    level, propagate = _log.level, _log.propagate
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)
        _log.propagate = propagate


class _JsonLines(logging.Formatter):
    """A record as a line of JSON: time, level, event, request id, and the record's fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "request_id": REQUEST_ID.get() or None,
            **getattr(record, "fields", {}),
        }
        return json.dumps(line)
