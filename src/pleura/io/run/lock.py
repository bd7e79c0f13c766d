"""Locking an output folder for one process; the lock ends with the process."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pleura.core.errors import UsageError
from pleura.io.files.atomic import OWN, cannot_write, make_folders

__all__ = ["LOCK", "held"]

LOCK = f"{OWN}run.lock"
"""The lock's name in the folder; a hidden file that is gone after the run."""

_FAR = 1 << 30  # the byte that Windows locks, behind the text, which others may read so


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold `folder`, which is made if need be; gives False where the file system has no locks.

    The operating system holds the lock, so that a process that is killed lets go of it. Across
    machines it works where the network file system knows locks, as NFS and SMB do.

    Raises:
        UsageError: another process holds it; the message names it.
        OutputError: no file can be made there.
    """
    try:
        made = not folder.is_dir()
        make_folders(folder)
        handle, locked = _taken(folder / LOCK)
    except OSError as error:
        raise cannot_write(folder / LOCK, error) from error
    try:
        yield locked
    finally:
        _let_go(folder / LOCK, handle)
        if made:
            with suppress(OSError):  # something was written there
                folder.rmdir()


def _taken(path: Path) -> tuple[int, bool]:
    """The open lock, and whether it is locked; `UsageError` if another process holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(handle)
            if os.path.samestat(os.fstat(handle), path.stat()):
                os.truncate(handle, 0)
                os.write(handle, _oneself().encode())
                return handle, locked
        except FileNotFoundError:  # removed by a run that ended since
            pass
        except BlockingIOError:
            os.close(handle)
            raise UsageError(
                f"another run is writing into {path.parent}{_holder(path)}; wait until it is over, "
                "or give another --out"
            ) from None
        os.close(handle)


def _let_go(path: Path, handle: int) -> None:
    if os.name == "nt":  # an open file cannot be removed there
        os.close(handle)
    with suppress(OSError):
        path.unlink()
    if os.name != "nt":
        os.close(handle)


def _oneself() -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()}, since {now}"


def _holder(path: Path) -> str:
    try:
        said = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f": {said}" if said.isprintable() and said else ""


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        """Whether the lock was taken; `BlockingIOError` if another process has it."""
        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        """Whether the lock was taken; `BlockingIOError` if another process has it."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # ENOLCK, ENOTSUP, ENOSYS: this file system has none
            return False
        return True
