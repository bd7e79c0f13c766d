"""Writing files atomically: a file appears complete or not at all.

A file is written in the same folder under a name that starts with a dot, flushed to the disk, and
renamed over the old one in a single step of the file system. So readers find the old file or the
new one, even after kill -9. A killed run leaves a hidden `.pleura-PID-N.part` behind; the search
for films ignores it, and `remove_partial_files` removes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal, overload

from pleura.core.digest import SUFFIX, digest_line, sha256
from pleura.core.errors import DiskFull, OutputError
from pleura.io.files.walk import walk

__all__ = [
    "OWN_PREFIX",
    "atomic_write",
    "cannot_write",
    "check_takes_files",
    "flush_folder",
    "is_full",
    "make_folders",
    "remove_partial_files",
    "write_with_digest",
]

OWN_PREFIX = ".pleura-"
"""The beginning of the names of files that exist only during a run."""

STALE_S = 3600.0
"""Age from which a partial file is removed where the system cannot say whether its process runs
(Windows), s."""

_PART = re.compile(r"\.pleura-(\d+)-[0-9a-f]+\.part")


@overload
def atomic_write(
    path: Path, mode: Literal["wb"] = "wb"
) -> contextlib.AbstractContextManager[IO[bytes]]: ...
@overload
def atomic_write(path: Path, mode: Literal["w"]) -> contextlib.AbstractContextManager[IO[str]]: ...
@contextmanager
def atomic_write(path: Path, mode: Literal["w", "wb"] = "wb") -> Iterator[IO[Any]]:
    r"""Open a file that gets its name only when the block ends without an error.

    Missing folders are made. Text is UTF-8 with `\n` line ends on every system; a byte of a path
    that is not UTF-8 is written as `\udcef`. An error in the block leaves an older file as it was.

    Raises:
        DiskFull: no space is left, or a quota is used up.
        OutputError: the file system does not accept the file, for another reason.
    """
    part = path.parent / f".pleura-{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        make_folders(path.parent)
        with _opened(part, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # it was renamed if there was no error
            part.unlink(missing_ok=True)


def write_with_digest(path: Path, content: bytes) -> None:
    """Write a file and its SHA-256, `NAME.sha256`, beside it, each atomically."""
    digest = digest_line(sha256(content), path.name).encode()
    for place, data in ((path, content), (path.with_name(path.name + SUFFIX), digest)):
        with atomic_write(place) as file:
            file.write(data)


def make_folders(folder: Path) -> None:
    """Make `folder` and those above it, at any depth; `Path.mkdir` recurses, which has a limit."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
        if folder == folder.parent:
            break
    for missing_folder in reversed(missing):
        missing_folder.mkdir(exist_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush the names in `folder` to the disk, so that a rename survives a loss of power."""
    if os.name == "nt":  # a folder cannot be opened there, and NTFS keeps its names in a journal
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_partial_files(folder: Path) -> int:
    """Remove partial files of killed runs from `folder` and below; files being written stay.

    Returns the number of removed files.
    """
    removed = 0
    for place, _, names in walk(str(folder)):
        for name in names:
            match = _PART.fullmatch(name)
            if match and _is_dead(Path(place, name), int(match[1])):
                with contextlib.suppress(OSError):
                    Path(place, name).unlink()
                    removed += 1
    return removed


def check_takes_files(folder: Path) -> None:
    """Raise `OutputError` if no file can be written in `folder`; leaves nothing.

    A folder that does not exist yet is judged by the first one above it that does.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise cannot_write(folder, error) from error


def is_full(error: OSError) -> bool:
    """Whether the disk is full, or a quota is used up."""
    return error.errno in _FULL or getattr(error, "winerror", None) in _FULL_ON_WINDOWS


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The error for a file that cannot be written, with what to do about it."""
    reason = error.strerror or str(error)
    if is_full(error):
        return DiskFull(
            f"cannot write {path}: {reason}; free space there, or choose another output folder"
        )
    remedy = _REMEDIES.get(error.errno or 0, "choose another output folder")
    return OutputError(f"cannot write {path}: {reason}; {remedy}")


_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_FULL_ON_WINDOWS = frozenset({39, 112, 1295})
"""ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL, ERROR_DISK_QUOTA_EXCEEDED."""

_IN_THE_WAY = "move away what is there, or choose another output folder"
_REMEDIES = {
    errno.ENAMETOOLONG: "give the film a shorter name, or choose an output folder with a shorter "
    "path",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f), or choose another output folder",
    errno.EACCES: "allow writing there, or choose another output folder",
    errno.EPERM: "allow writing there, or choose another output folder",
    errno.EISDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.ENOTEMPTY: _IN_THE_WAY,
}


def _opened(part: Path, mode: Literal["w", "wb"]) -> IO[Any]:
    """A new temporary file with the permissions of the user's umask; fails if it exists."""
    if mode == "wb":
        return part.open("xb")
    return part.open("x", encoding="utf-8", errors="backslashreplace", newline="\n")


def _is_dead(part: Path, pid: int) -> bool:
    """Whether the process that wrote this file has ended."""
    if os.name == "nt":  # signal 0 would end the process there
        return part.exists() and time.time() - part.stat().st_mtime > STALE_S
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it runs, and belongs to another user
        return False
    return False
