"""Errors as problem details (RFC 9457): the statuses are those of the one table of answers."""

from __future__ import annotations

import logging
import re
import traceback
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from pleura.core.errors import PleuraError

__all__ = [
    "MEDIA_TYPE",
    "PROBLEM_SCHEMA",
    "Busy",
    "CutOff",
    "ForeignOrigin",
    "KeyNeeded",
    "NotOffered",
    "Refusal",
    "Stopping",
    "TooLarge",
    "TooSlow",
    "TookTooLong",
    "UnknownHost",
    "answer_problems",
    "log_defect",
    "problem",
    "respond",
]


MEDIA_TYPE = "application/problem+json"

PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:pleura:problem:NAME, or about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do about it."},
    },
}
"""For the OpenAPI description."""

_log = logging.getLogger("pleura.serve")


def problem(error: BaseException) -> dict[str, Any]:
    """The problem details of an error; what is not meant for users stays out of them."""
    if isinstance(error, RequestValidationError):
        return _problem(400, _told(error), name="usage-error")
    if isinstance(error, HTTPException):
        return _problem(error.status_code, _PHRASES.get(error.status_code, str(error.detail)))
    if not isinstance(error, PleuraError):
        return _problem(500, "an unexpected error of the service; its log has more")
    name = re.sub(r"(?<!^)([A-Z])", r"-\1", type(error).__name__).lower()
    return _problem(error.http_status, str(error), name=name)


def answer_problems(app: FastAPI) -> None:
    """Let every error of `app` be answered as problem details."""
    for kind in (PleuraError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, respond)


_PHRASES = {
    404: "nothing is at this address; /openapi.json lists what there is",
    405: "this address does not take that method; /openapi.json lists what there is",
}


def respond(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that ended in `error`."""
    told = problem(error)
    headers = dict(getattr(error, "headers", None) or {})
    if isinstance(error, Busy | Stopping):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, KeyNeeded):
        headers["WWW-Authenticate"] = "Bearer"
    told["instance"] = request.url.path
    return JSONResponse(told, told["status"], headers=headers, media_type=MEDIA_TYPE)


def log_defect(error: BaseException) -> None:
    """Log where an error came from, but not its text, which may quote an upload."""
    trace = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected %s\n%s", type(error).__name__, trace)


def _problem(status: int, detail: str, *, name: str | None = None) -> dict[str, Any]:
    title = HTTPStatus(status).phrase if name is None else name.replace("-", " ").capitalize()
    kind = "about:blank" if name is None else f"urn:pleura:problem:{name}"
    return {"type": kind, "title": title, "status": status, "detail": detail}


def _told(error: RequestValidationError) -> str:
    """Which parameters are wrong, and why."""
    return "; ".join(
        f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}"
        for each in error.errors()
    )


class Refusal(PleuraError):
    """A request that is not served; its text says what to change."""


class TooLarge(Refusal, exit_code=2, http_status=413):
    """More bytes or films than one request may bring."""


class TooSlow(Refusal, exit_code=2, http_status=408):
    """The request's body did not arrive in time."""


class CutOff(Refusal, exit_code=2, http_status=400):
    """The client went away before its body was there; nobody hears the answer."""


class Busy(Refusal, http_status=503):
    """Every place in the queue is taken, or the memory for uploads."""

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        """`retry_after_s` is when a place may be free."""
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Stopping(Refusal, http_status=503):
    """The service ends, and the films could not be finished before."""

    retry_after_s = 30
    """By then it may have been started again."""


class TookTooLong(Refusal, http_status=504):
    """The films were accepted, but not segmented in time."""


class KeyNeeded(Refusal, exit_code=2, http_status=401):
    """No API key, or a wrong one."""


class UnknownHost(Refusal, exit_code=2, http_status=421):
    """The request is for a host of another name than those that the service has."""


class ForeignOrigin(Refusal, exit_code=2, http_status=403):
    """The request comes from a page of another site."""


class NotOffered(Refusal, exit_code=2, http_status=406):
    """None of the kinds of answer that the client accepts."""
