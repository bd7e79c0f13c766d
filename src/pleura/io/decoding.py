"""Running decoders of other libraries and catching their warnings, log records and errors.

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
from pleura.io.library_logs import without_library_logs

__all__ = ["Decoding", "NeedsDecoderProcess", "decoding", "out_of_memory", "quietly"]

# Decoders that pydicom calls, and nibabel, do not promise to be thread-safe; Pillow does. pydicom
# itself changes nothing outside a data set while it parses one and reads uncompressed pixels.
_one_at_a_time = threading.RLock()


class NeedsDecoderProcess(PleuraError):
    """Raised by a reader for a film whose decoder can crash, hang or use too much memory."""


@dataclass(slots=True)
class Decoding:
    """Warnings and notes of one film while it is decoded."""

    kind: str
    """The file's format, as shown to people: `PNG`, `DICOM`, ..."""

    warned: int = 0
    """Warnings raised in the block so far, by its own thread."""

    notes: list[str] = field(default_factory=list)
    """Notes for the user, which the reader fills in."""


class _WarningCounter:
    """Counts the warnings in `decoding` blocks, for each thread separately.

    Python's warning filters belong to the whole process. So the first thread that enters a block
    replaces them, and the last thread that leaves one restores them. If every thread did both, the
    host's filters could stay changed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._host_filters = warnings.catch_warnings()
        self._thread = threading.local()

    @contextmanager
    def __call__(self, state: Decoding) -> Iterator[None]:
        """Count this thread's warnings in `state`, except those of a block inside this one."""
        with self._lock:
            if not self._inside:
                self._host_filters = warnings.catch_warnings()
                self._host_filters.__enter__()
                warnings.simplefilter("always")
                warnings.showwarning = self._count
            self._inside += 1
        outer, self._thread.state = getattr(self._thread, "state", None), state
        try:
            yield
        finally:
            self._thread.state = outer
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._host_filters.__exit__(None, None, None)

    def _count(self, *_: object, **__: object) -> None:
        state: Decoding | None = getattr(self._thread, "state", None)
        if state is not None:
            state.warned += 1


_warning_counter = _WarningCounter()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep warnings and log records of libraries from the host program, while they write files."""
    with _quietly(Decoding("")):
        yield


@contextmanager
def _quietly(state: Decoding) -> Iterator[None]:
    with _warning_counter(state), without_library_logs():
        yield


@contextmanager
def decoding(kind: str, *, quote: bool = True, alone: bool = True) -> Iterator[Decoding]:
    """Run a decoder: count its warnings, turn its errors into `UnreadableFilm`.

    `quote` puts the decoder's own message into the error; it is off for formats that name patients.
    `alone` makes other threads' decoders wait; it is off for thread-safe decoders.
    """
    state = Decoding(kind)
    with _one_at_a_time if alone else nullcontext(), _quietly(state):
        try:
            yield state
        except PleuraError:
            raise
        except MemoryError:
            raise out_of_memory(kind) from None
        except Exception as error:  # on damaged files decoders raise errors of any class
            raise _unreadable(kind, error, quote=quote) from (error if quote else None)


def out_of_memory(kind: str) -> UnreadableFilm:
    """The error for a file of format `kind` that needs too much memory."""
    return UnreadableFilm(
        f"reading this {kind} file needs more memory than is allowed, or than is free; "
        "make the film smaller, or close other programs"
    )


def _unreadable(kind: str, error: Exception, *, quote: bool) -> UnreadableFilm:
    detail = f" ({' '.join(str(error).split())[:120]})" if quote and str(error) else ""
    return UnreadableFilm(
        f"this {kind} file is damaged or cut short{detail}; copy or export it again"
    )
