"""Error responses: problem details (RFC 9457) with the HTTP status of the error's class."""

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

from pleura.apps.serve.errors import Busy, KeyNeeded, Stopping
from pleura.apps.serve.request_log import REQUEST_ID
from pleura.core.errors import PleuraError, UnsuitableFilm

__all__ = [
    "MEDIA_TYPE",
    "PROBLEM_SCHEMA",
    "add_error_handlers",
    "error_response",
    "log_defect",
    "problem_details",
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
        "can_force": {"type": "boolean", "description": "True if force=true segments the film."},
        "instance": {"type": "string", "description": "The path of the request."},
        "request_id": {"type": "string", "description": "As in the header X-Request-ID."},
    },
}
"""The JSON schema of problem details, for the OpenAPI description."""

_log = logging.getLogger("pleura.serve")


def problem_details(error: BaseException) -> dict[str, Any]:
    """The problem details of an error. The texts of defects stay out: they may quote an upload."""
    if isinstance(error, RequestValidationError):
        return _problem(400, _wrong_parameters(error), name="usage-error")
    if isinstance(error, HTTPException):
        return _problem(error.status_code, _DETAILS.get(error.status_code, str(error.detail)))
    if not isinstance(error, PleuraError):
        return _problem(500, "an unexpected error of the service; its log has more")
    name = re.sub(r"(?<!^)([A-Z])", r"-\1", type(error).__name__).lower()
    details = _problem(error.http_status, str(error), name=name)
    if isinstance(error, UnsuitableFilm) and error.can_force:
        details["can_force"] = True
    return details


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""
    for error_class in (PleuraError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error_class, error_response)


_DETAILS = {
    404: "there is no such address; /openapi.json lists the addresses",
    405: "this address does not take that method; /openapi.json lists what there is",
}
"""The details of the errors that Starlette raises itself."""


def error_response(request: Request, error: Exception) -> JSONResponse:
    """The response to a request that failed with `error`."""
    details = problem_details(error)
    headers = dict(getattr(error, "headers", None) or {})
    if isinstance(error, Busy | Stopping):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, KeyNeeded):
        headers["WWW-Authenticate"] = "Bearer"
    details["instance"] = request.url.path
    details["request_id"] = REQUEST_ID.get()
    return JSONResponse(details, details["status"], headers=headers, media_type=MEDIA_TYPE)


def log_defect(error: BaseException) -> None:
    """Log the class and the traceback of an error, but not its text, which may quote an upload."""
    trace = "".join(traceback.format_tb(error.__traceback__))
    _log.error("unexpected %s\n%s", type(error).__name__, trace)


def _problem(status: int, detail: str, *, name: str | None = None) -> dict[str, Any]:
    title = HTTPStatus(status).phrase if name is None else name.replace("-", " ").capitalize()
    problem_type = "about:blank" if name is None else f"urn:pleura:problem:{name}"
    return {"type": problem_type, "title": title, "status": status, "detail": detail}


def _wrong_parameters(error: RequestValidationError) -> str:
    """Which parameters are wrong, and why."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}"
        for fault in error.errors()
    )
