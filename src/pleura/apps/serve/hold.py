"""The bytes of all uploads together, bounded: many clients cannot fill the memory between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from pleura.apps.serve.refusals import Busy

__all__ = ["Hold", "Part"]

RETRY_S = 2


class Hold:
    """Counts the bytes that requests hold, and those they have announced."""

    def __init__(self, most: int) -> None:
        """Begin with none."""
        self.most, self.bytes = most, 0
        self._lock = Lock()

    def part(self) -> Part:
        """One request's part, nothing as yet."""
        return Part(self)

    def add(self, size: int) -> None:
        """Count so many more bytes, or fewer if it is negative.

        Raises:
            Busy: there is no room for them.
        """
        with self._lock:
            if size > 0 and self.bytes + size > self.most:
                raise Busy(
                    f"the requests under way hold {self.most / 1e6:g} MB, the most that is kept "
                    "in memory; send the films again later, or fewer at a time",
                    retry_after_s=RETRY_S,
                )
            self.bytes += size


class Part:
    """What one request holds; given back when the request and all its films have ended."""

    def __init__(self, hold: Hold) -> None:
        """Begin with nothing, and one user: the request."""
        self._hold, self._counted, self._arrived, self._users = hold, 0, 0, 1
        self._lock = Lock()

    def reserve(self, size: int) -> None:
        """Make room for bytes that are announced.

        Raises:
            Busy: there is none.
        """
        self._hold.add(size)
        self._counted += size

    def take(self, size: int) -> None:
        """Keep so many more bytes, out of what was reserved as long as that lasts.

        Raises:
            Busy: there is no room beyond. What there was is given back at once, for the others
                that come side by side.
        """
        self._arrived += size
        if self._arrived <= self._counted:
            return
        try:
            self.reserve(self._arrived - self._counted)
        except Busy:
            self._give_back()
            raise

    @contextmanager
    def shared(self, users: int) -> Iterator[Callable[[], None]]:
        """So many more users: films, which may be worked on when their request has gone.

        Each says by the function that it is given that it has ended; an error in the block says
        that none began.
        """
        with self._lock:
            self._users += users
        try:
            yield self.leave
        except BaseException:
            for _ in range(users):
                self.leave()
            raise

    def leave(self) -> None:
        """One user less; the last gives everything back."""
        with self._lock:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self._give_back()

    def _give_back(self) -> None:
        self._hold.add(-self._counted)
        self._counted = 0
