"""Locking an output folder for one process; the lock ends with the process."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pleura.core.errors import UsageError
from pleura.io.files.atomic import OWN_PREFIX, cannot_write, make_folders

__all__ = ["LOCK", "locked_folder"]

LOCK = f"{OWN_PREFIX}run.lock"
"""The lock's name in the folder; a hidden file that is gone after the run."""

_FAR = (
    1 << 30
)  # the byte that Windows locks; it is after the text, so that others can read the text


_POLL_S = 0.05


@contextmanager
def locked_folder(folder: Path, *, patience_s: float = 0.0) -> Iterator[bool]:
    """Lock `folder`, which is made if it is missing; yield False if the file system has no locks.

    If another process holds the lock, wait for it for at most `patience_s` seconds.

    The operating system holds the lock, so it is released if the process is killed. Across machines
    it works on network file systems with locks, such as NFS and SMB.

    Raises:
        UsageError: another process holds it; the message names it.
        OutputError: no file can be made there.
    """
    try:
        is_new = not folder.is_dir()
        make_folders(folder)
        handle, locked = _open_and_lock(folder / LOCK, time.monotonic() + patience_s)
    except OSError as error:
        raise cannot_write(folder / LOCK, error) from error
    try:
        yield locked
    finally:
        _release(folder / LOCK, handle)
        if is_new:
            with suppress(OSError):  # the folder is not empty
                folder.rmdir()


def _open_and_lock(path: Path, end: float) -> tuple[int, bool]:
    """The open lock file, and whether it is locked; `UsageError` if it is not free by `end`."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _lock(handle)
            if os.path.samestat(os.fstat(handle), path.stat()):
                os.truncate(handle, 0)
                os.write(handle, _this_process().encode())
                return handle, locked
        except FileNotFoundError:  # removed by a run that ended in between
            pass
        except BlockingIOError:
            os.close(handle)
            if time.monotonic() < end:
                time.sleep(_POLL_S)
                continue
            raise UsageError(
                f"another run is writing into {path.parent}{_holder(path)}; wait until it is over, "
                "or give another --out"
            ) from None
        os.close(handle)


def _release(path: Path, handle: int) -> None:
    if os.name == "nt":  # an open file cannot be removed there
        os.close(handle)
    with suppress(OSError):
        path.unlink()
    if os.name != "nt":
        os.close(handle)


def _this_process() -> str:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()}, since {now}"


def _holder(path: Path) -> str:
    try:
        holder = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f": {holder}" if holder.isprintable() and holder else ""


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
        except OSError:  # ENOLCK, ENOTSUP, ENOSYS: this file system has no locks
            return False
        return True
