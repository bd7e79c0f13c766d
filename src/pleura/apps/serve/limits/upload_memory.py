"""The memory for uploads: how many bytes all requests together may keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from pleura.apps.serve.errors import Busy

__all__ = ["RequestMemory", "UploadMemory"]


class UploadMemory:
    """Counts the bytes that requests keep or have announced, and rejects more than `limit_bytes`.

    Methods may be called from any thread.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes, self.held_bytes = limit_bytes, 0
        self._lock = Lock()

    @property
    def is_crowded(self) -> bool:
        """Whether requests hold more than half of the memory."""
        return self.held_bytes > self.limit_bytes / 2

    def for_request(self) -> RequestMemory:
        """The share of one request; it is empty at first."""
        return RequestMemory(self)

    def add(self, size: int) -> None:
        """Count `size` more bytes, or fewer if it is negative.

        Raises:
            Busy: there is no room for them.
        """
        with self._lock:
            if size > 0 and self.held_bytes + size > self.limit_bytes:
                raise Busy.upload_memory_is_full(self.limit_bytes)
            self.held_bytes += size


class RequestMemory:
    """One request's share of the upload memory; it ends with the request and all its films."""

    def __init__(self, memory: UploadMemory) -> None:
        self._memory, self._reserved, self._arrived = memory, 0, 0
        self._users = 1  # the request itself
        self._lock = Lock()

    @property
    def is_crowded(self) -> bool:
        """Whether all requests together hold more than half of the memory."""
        return self._memory.is_crowded

    def reserve(self, size: int) -> None:
        """Reserve room for `size` bytes, before they arrive.

        Raises:
            Busy: there is no room for them.
        """
        self._memory.add(size)
        self._reserved += size

    def add_arrived(self, size: int) -> None:
        """Count `size` bytes that have arrived. They fill the reserved room first.

        Raises:
            Busy: there is no more room. The room of this request is released at once, so that
                other uploads can continue.
        """
        self._arrived += size
        if self._arrived <= self._reserved:
            return
        try:
            self.reserve(self._arrived - self._reserved)
        except Busy:
            self._release_all()
            raise

    @contextmanager
    def shared_with(self, users: int) -> Iterator[Callable[[], None]]:
        """Share the memory with `users` films, which may be processed after their request ends.

        Yields the function to call when a film has ended. If the block raises an error, no film
        may have begun: their shares are released at once.
        """
        with self._lock:
            self._users += users
        try:
            yield self.release
        except BaseException:
            for _ in range(users):
                self.release()
            raise

    def release(self) -> None:
        """Remove one user; the last one releases all bytes."""
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self._release_all()

    def _release_all(self) -> None:
        self._memory.add(-self._reserved)
        self._reserved = 0
