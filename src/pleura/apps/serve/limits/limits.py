"""The limits of requests, films, the queue and times."""

from __future__ import annotations

from dataclasses import dataclass

from pleura.core.errors import UsageError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one request, so that every client is served. `GET /v1/model` returns them."""

    request_bytes: int = 128_000_000
    """The bytes of a request's body: all its films together."""

    film_pixels: int = 40_000_000
    """The pixels of a film. They are read from its header before the film is decoded. The largest
    detectors and film scanners make fewer."""

    request_films: int = 16
    """The films of a request."""

    queue_films: int = 64
    """Films that are accepted and not yet answered; one more is answered 503."""

    headers_s: float = 10.0
    """From the start of a connection to the end of its request's headers, seconds."""

    upload_s: float = 60.0
    """From the end of the headers to the end of the body, seconds, unless the body arrives at
    `upload_rate`. It is also the longest time in which a client may read less of an answer than
    `upload_rate` gives."""

    upload_rate: float = 20_000.0
    """Bytes a second (160 kbit/s). A body that arrives at this rate may take longer than `upload_s`
    while uploads hold less than half of the memory for them."""

    answer_s: float = 120.0
    """From the end of the body to the answer, seconds. A worker that works on a film for longer is
    stuck, and the service is not ready."""

    grace_s: float = 25.0
    """From the signal to stop to the end of the service, for accepted films, seconds."""

    @property
    def upload_memory_bytes(self) -> int:
        """The bytes that the bodies of all requests in progress may take."""
        return 4 * self.request_bytes

    def __post_init__(self) -> None:
        if self.request_films > self.queue_films:
            raise UsageError(
                f"a request may have {self.request_films} films, but the queue holds only "
                f"{self.queue_films}; give a longer queue or fewer films a request"
            )
