"""Running decoders of other libraries: their warnings, log records and errors are caught here.

Decoders warn through Python's `warnings`, log, and fail with errors of every class. Warnings and
log records do not reach the host program, which may treat warnings as errors. Failures become
`UnreadableFilm`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

from pleura.core.errors import PleuraError, UnreadableFilm
from pleura.io.library_logs import library_logs_apart

__all__ = ["Decoding", "NeedsDecoderProcess", "decoding", "out_of_memory", "quietly"]

# pydicom's and nibabel's decoders do not promise to work side by side; Pillow's do.
_one_at_a_time = threading.RLock()


class NeedsDecoderProcess(PleuraError):
    """Raised by a reader: this film's decoder can crash, hang or use too much memory."""


@dataclass(slots=True)
class Decoding:
    """Warnings and notes of one film while it is decoded."""

    kind: str
    """The file's format, as shown to people: `PNG`, `DICOM`, ..."""

    warned: int = 0
    """Warnings raised in the block so far, by its own thread."""

    notes: list[str] = field(default_factory=list)
    """Notes for the user, which the reader fills in."""


class _Listening:
    """Counts warnings of all threads in `decoding` blocks, for each thread apart.

    Python's warning filters belong to the whole process. So the first thread that enters a block
    replaces them and the last one that leaves restores them; if every thread did so for itself, the
    host's filters could stay changed.
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
    """Keep warnings and log records of libraries from the host program, while they write files."""
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
            raise out_of_memory(kind) from None
        except Exception as error:  # decoders fail on foreign bytes with errors of any class
            raise _unreadable(kind, error, quote=quote) from (error if quote else None)


def out_of_memory(kind: str) -> UnreadableFilm:
    """The error for a file of the format `kind` that takes too much memory."""
    return UnreadableFilm(
        f"this {kind} file takes more memory to read than it may, or than is left; "
        "make the film smaller, or close other programs"
    )


def _unreadable(kind: str, error: Exception, *, quote: bool) -> UnreadableFilm:
    said = f" ({' '.join(str(error).split())[:120]})" if quote and str(error) else ""
    return UnreadableFilm(
        f"this {kind} file is damaged or cut short{said}; copy or export it again"
    )
