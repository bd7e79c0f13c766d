"""The errors of the web service: their HTTP statuses and their texts.

Refusal
├── CutOff         400 Bad Request            the client closed the connection during the upload
├── KeyNeeded      401 Unauthorized           the API key is missing or wrong
├── ForeignOrigin  403 Forbidden              a web page of another site sent the request
├── NotOffered     406 Not Acceptable         the client accepts none of the media types
├── TooSlow        408 Request Timeout        the upload was too slow
├── TooLarge       413 Content Too Large      more bytes or films than one request may have
├── UnknownHost    421 Misdirected Request    `Host` names none of the service's names
├── Busy           503 Service Unavailable    the queue or the memory for uploads is full
├── Stopping       503 Service Unavailable    the service ends
└── TookTooLong    504 Gateway Timeout        the films were not segmented in time

Films and parameters raise the errors of `pleura.core.errors`. `responses.problem_details` makes the
HTTP answer. The name of a class is part of that answer (`urn:pleura:problem:too-large`).
"""

from __future__ import annotations

from collections.abc import Iterable

from pleura.core.errors import PleuraError

__all__ = [
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
]

RETRY_AFTER_UPLOADS_S = 2
"""`Retry-After` of a request for which the memory for uploads has no room, seconds."""

MAX_RETRY_AFTER_S = 60
"""The longest `Retry-After`, seconds."""

SEND_LATER = "send the films again later"
"""The advice of every `Busy`."""


class Refusal(PleuraError):
    """A request that the service rejects. The text names the change that helps."""


class CutOff(Refusal, exit_code=2, http_status=400):
    """HTTP 400 Bad Request: the client closed the connection before the upload was complete."""

    def __init__(self) -> None:
        super().__init__(
            "the connection was closed before the film was received completely; send it again"
        )


class KeyNeeded(Refusal, exit_code=2, http_status=401):
    """HTTP 401 Unauthorized: the API key is missing or wrong."""

    def __init__(self) -> None:
        super().__init__("this service needs its API key: send 'Authorization: Bearer KEY'")


class ForeignOrigin(Refusal, exit_code=2, http_status=403):
    """HTTP 403 Forbidden: a web page of another site sent the request."""

    def __init__(self, origin: str | None) -> None:
        """`origin` is the header `Origin`; None if the request has none."""
        super().__init__(
            f"a web page from {origin or 'another site'} may not send requests to this service: "
            "open the service's own page; behind a reverse proxy, start the service with "
            "--allow-host NAME"
        )


class NotOffered(Refusal, exit_code=2, http_status=406):
    """HTTP 406 Not Acceptable: the client accepts none of the media types of the answer."""

    def __init__(self, media_types: Iterable[str]) -> None:
        """`media_types` are those the service offers."""
        super().__init__(
            f"this service can answer with {', '.join(media_types)}; list one of them in the "
            "Accept header"
        )


class TooSlow(Refusal, exit_code=2, http_status=408):
    """HTTP 408 Request Timeout: the request's body did not arrive in time."""

    def __init__(self, limit_s: float, rate: float) -> None:
        """`limit_s` is the time for an upload, seconds, and `rate` is in bytes a second."""
        super().__init__(
            f"the upload stopped, took more than {limit_s:g} s, or was slower than "
            f"{rate / 1000:g} kB/s; send it again, or send fewer or smaller films at a time"
        )


class TooLarge(Refusal, exit_code=2, http_status=413):
    """HTTP 413 Content Too Large: more bytes or films than one request may have."""

    @classmethod
    def in_bytes(cls, limit_bytes: int) -> TooLarge:
        """The body is longer than `limit_bytes`."""
        return cls(
            f"the request is larger than the limit of {limit_bytes / 1e6:g} MB; "
            "send fewer films at a time"
        )

    @classmethod
    def in_films(cls, limit_films: int) -> TooLarge:
        """The form has more files than `limit_films`."""
        return cls(f"a request may have {limit_films} films at most; send them in several requests")


class UnknownHost(Refusal, exit_code=2, http_status=421):
    """HTTP 421 Misdirected Request: the header `Host` names none of the service's names."""

    def __init__(self, host: str) -> None:
        """`host` is the header `Host`."""
        super().__init__(
            f"this service is not available under the name {host!r}: use one of its own, such as "
            "localhost, or start it with --allow-host and the name"
        )


class Busy(Refusal, http_status=503):
    """HTTP 503 Service Unavailable: the queue or the memory for uploads is full."""

    def __init__(self, text: str, *, retry_after_s: int) -> None:
        """`retry_after_s` is the header `Retry-After`, seconds."""
        super().__init__(text)
        self.retry_after_s = retry_after_s

    @classmethod
    def upload_memory_is_full(cls, limit_bytes: int) -> Busy:
        """The uploads of all requests together would exceed `limit_bytes`."""
        return cls(
            f"the requests in progress use all of the {limit_bytes / 1e6:g} MB that are reserved "
            f"for uploads; {SEND_LATER}, or fewer at a time",
            retry_after_s=RETRY_AFTER_UPLOADS_S,
        )

    @classmethod
    def queue_is_full(cls, capacity: int, *, wait_s: int) -> Busy:
        """The queue of `capacity` films is full; a place is likely free after `wait_s` seconds."""
        return cls(
            f"all {capacity} places in the queue are taken; {SEND_LATER}, or fewer at a time",
            retry_after_s=max(1, min(MAX_RETRY_AFTER_S, wait_s)),
        )

    @classmethod
    def workers_are_stuck(cls, limit_s: float) -> Busy:
        """Every worker has worked on one film for longer than `limit_s` seconds."""
        return cls(
            f"every worker has been busy with one film for over {limit_s:g} s; {SEND_LATER}",
            retry_after_s=MAX_RETRY_AFTER_S,
        )


class Stopping(Refusal, http_status=503):
    """HTTP 503 Service Unavailable: the service ends before the films are finished."""

    retry_after_s = 30
    """The header `Retry-After`, seconds: by then the service may run again."""

    def __init__(self) -> None:
        super().__init__(
            "the service is shutting down and did not finish the films; send them again"
        )


class TookTooLong(Refusal, http_status=504):
    """HTTP 504 Gateway Timeout: the films were accepted, but not segmented in time."""

    def __init__(self, limit_s: float) -> None:
        """`limit_s` is the time for an answer, seconds."""
        super().__init__(f"no answer within {limit_s:g} s; send fewer or smaller films")
