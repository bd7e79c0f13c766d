"""The one place where foreign bytes meet foreign decoders.

Decoders warn through Python's `warnings` and fail with errors of every class. Here warnings are
caught, so that they neither reach the host program nor stop it where it makes warnings errors; what
they log stays from it too; and failures become `UnreadableFilm`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from pleura.core.errors import PleuraError, UnreadableFilm
from pleura.io.library_logs import library_logs_apart

__all__ = ["Decoding", "decoding", "quietly"]

# pydicom's and nibabel's decoders do not promise to work side by side; Pillow's do.
_one_at_a_time = threading.RLock()


@dataclass(slots=True)
class Decoding:
    """What a decoder said while it worked."""

    kind: str
    """Of the file, as shown to people: `PNG`, `DICOM`, ..."""

    warned: int = 0
    """Warnings raised in the block so far, by its own thread."""

    notes: list[str] = field(default_factory=list)
    """For the reader to fill: what the user should know of this film."""


class _Listening:
    """Warnings of all threads in `decoding` blocks, each counted for its own thread's block.

    Python's filters belong to the whole process, so the first thread in puts them aside and the
    last one out puts them back: each doing so for itself could leave the host's changed for good.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._aside = warnings.catch_warnings()
        self._own = threading.local()

    @contextmanager
    def __call__(self, state: Decoding) -> Iterator[None]:
        """Count this thread's warnings in `state`, unless a block inside this one does."""
        with self._lock:
            if not self._inside:
                self._aside = warnings.catch_warnings()
                self._aside.__enter__()
                warnings.simplefilter("always")
                warnings.showwarning = self._hear
            self._inside += 1
        outer, self._own.state = getattr(self._own, "state", None), state
        try:
            yield
        finally:
            self._own.state = outer
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._aside.__exit__(None, None, None)

    def _hear(self, *_: object, **__: object) -> None:
        state: Decoding | None = getattr(self._own, "state", None)
        if state is not None:
            state.warned += 1


_listening = _Listening()


@contextmanager
def quietly() -> Iterator[None]:
    """Let libraries write files: what they warn and log does not reach the host program."""
    with _quietly(Decoding("")):
        yield


@contextmanager
def _quietly(state: Decoding) -> Iterator[None]:
    with _listening(state), library_logs_apart():
        yield


@contextmanager
def decoding(kind: str, *, quote: bool = True, alone: bool = True) -> Iterator[Decoding]:
    """Run a decoder: collect its warnings, turn its errors into `UnreadableFilm`.

    `quote` lets the decoder's own words into the message; off for formats whose values name people.
    `alone` keeps other threads' decoders waiting; off for those that work side by side.
    """
    state = Decoding(kind)
    with _one_at_a_time if alone else nullcontext(), _quietly(state):
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


def _unreadable(kind: str, error: Exception, *, quote: bool) -> UnreadableFilm:
    said = f" ({' '.join(str(error).split())[:120]})" if quote and str(error) else ""
    return UnreadableFilm(
        f"this {kind} file is damaged or cut short{said}; copy or export it again"
    )
