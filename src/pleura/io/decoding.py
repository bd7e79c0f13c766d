"""The one place where foreign bytes meet foreign decoders.

Decoders warn through Python's `warnings` and fail with errors of every class. Here warnings are
caught, so that they neither reach the host program nor stop it where it makes warnings errors, and
failures become `UnreadableFilm`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pleura.core.errors import PleuraError, UnreadableFilm

__all__ = ["Decoding", "decoding"]

# `catch_warnings` swaps a list that belongs to the whole process: two threads inside it at once
# could leave the host's filters changed for good.
_one_at_a_time = threading.RLock()


@dataclass(slots=True)
class Decoding:
    """What a decoder said while it worked."""

    kind: str
    """Of the file, as shown to people: `PNG`, `DICOM`, ..."""

    warned: int = 0
    """Warnings raised in the block; known after it ended."""

    notes: list[str] = field(default_factory=list)
    """For the reader to fill: what the user should know of this film."""


@contextmanager
def decoding(kind: str, *, quote: bool = True) -> Iterator[Decoding]:
    """Run a decoder: collect its warnings, turn its errors into `UnreadableFilm`.

    `quote` lets the decoder's own words into the message; off for formats whose values name people.
    """
    state = Decoding(kind)
    with _one_at_a_time, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield state
        except PleuraError:
            raise
        except MemoryError:
            raise UnreadableFilm(
                f"this {kind} file needs more memory than this machine has left; "
                "close other programs or make the film smaller"
            ) from None
        except Exception as error:  # decoders fail on foreign bytes with errors of any class
            raise _unreadable(kind, error, quote=quote) from (error if quote else None)
        state.warned = len(caught)


def _unreadable(kind: str, error: Exception, *, quote: bool) -> UnreadableFilm:
    said = f" ({' '.join(str(error).split())[:120]})" if quote and str(error) else ""
    return UnreadableFilm(
        f"this {kind} file is damaged or cut short{said}; copy or export it again"
    )
