"""The pace at which the body of a request must arrive."""

from __future__ import annotations

from pleura.apps.serve.limits.limits import Limits

__all__ = ["Pace"]


class Pace:
    """How long the service waits for the next bytes of a body; times are in seconds of one clock.

    A slow upload may continue if no pause is longer than `headers_s` seconds, and if as many bytes
    arrive in `upload_s` seconds as `upload_rate` gives. If the length is not announced, no memory
    is reserved, and a pause may take `upload_s` seconds. While many uploads hold memory, a body of
    announced length must arrive fast enough to be complete within `upload_s`, with `headers_s` of
    tolerance; any other body must be complete within `upload_s`.
    """

    def __init__(self, limits: Limits, *, announced_bytes: int, now: float) -> None:
        self._limits, self._announced_bytes = limits, announced_bytes
        self._start = self._last = self._marked = now
        self._bytes = self._marked_bytes = 0

    def add(self, size: int, *, now: float) -> None:
        """Count `size` bytes that have arrived."""
        self._bytes += size
        self._last = now
        if self._bytes - self._marked_bytes >= self._limits.upload_rate * self._limits.upload_s:
            self._marked, self._marked_bytes = now, self._bytes

    def end(self, *, is_crowded: bool) -> float:
        """The time until which the next bytes must arrive."""
        limits, announced = self._limits, self._announced_bytes
        pause_s = limits.headers_s if announced else limits.upload_s
        end = min(self._last + pause_s, self._marked + limits.upload_s)
        if not is_crowded:
            return end
        share = self._bytes / announced if announced else 1.0
        limit_s = min(limits.upload_s, limits.headers_s + share * limits.upload_s)
        return min(end, self._start + limit_s)
