"""A stream with a limit on reads: it stops a library that reads millions of tiny pieces.

Pillow and pydicom read a file piece by piece, in Python: a few thousand pieces for a film. A file
made of millions of tiny pieces would keep them busy for minutes.
"""

from __future__ import annotations

import os
from typing import IO

from pleura.core.errors import UnreadableFilm

__all__ = ["BoundedReads"]

MIN_READS = 50_000
"""Number of reads that every file is allowed."""

BYTES_A_READ = 64
"""One more read is allowed for each 64 bytes of the file. Encoders write pieces of 1,000 bytes and
more, and each piece takes four reads."""


class BoundedReads:
    """A seekable binary stream that allows a limited number of reads."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell
        start = stream.tell()
        self._left = MIN_READS + stream.seek(0, os.SEEK_END) // BYTES_A_READ
        stream.seek(start)

    def read(self, size: int = -1) -> bytes:
        """Read as a file does. Raises `UnreadableFilm` after too many reads."""
        self._left -= 1
        if self._left < 0:
            raise UnreadableFilm(
                "the file is cut into far more pieces than a film has: it is damaged, or not "
                "a film; copy or export it again"
            )
        return self._stream.read(size)
