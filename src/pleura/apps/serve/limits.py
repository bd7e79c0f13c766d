"""What one request may cost."""

from __future__ import annotations

from dataclasses import dataclass

from pleura.core.errors import UsageError

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Checked before work is done, so that no request can take the service from the others."""

    request_bytes: int = 128_000_000
    """Of a request's body, all its films together."""

    film_pixels: int = 40_000_000
    """Of a film, read from its header before it is decoded. The largest detectors and film
    scanners stay below."""

    request_films: int = 16
    queue_films: int = 64
    """Films accepted and not yet answered; a request beyond is told to come again."""

    headers_s: float = 10.0
    """From a connection to the end of its request's headers."""

    upload_s: float = 60.0
    """From a request's headers to the end of its body, and as long again to take the answer."""

    answer_s: float = 120.0
    """From the end of the body to the answer. A film that is worked on for longer is stuck: the
    service is not ready meanwhile."""

    grace_s: float = 25.0
    """From the signal to end to the end, for films that were accepted."""

    @property
    def held_bytes(self) -> int:
        """Of the bodies of all requests under way."""
        return 4 * self.request_bytes

    def __post_init__(self) -> None:
        if self.request_films > self.queue_films:
            raise UsageError(
                f"a request may bring {self.request_films} films, but the queue holds only "
                f"{self.queue_films}; give a longer queue or fewer films a request"
            )
