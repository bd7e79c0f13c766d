"""Opening regular files and files of object stores; a pipe or a device is rejected at once."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import IO

from pleura.io.files.remote import is_remote, open_remote

__all__ = ["open_file"]

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file to read it; one of an object store is read as a whole.

    The check is made on the opened handle, so that a pipe that replaced a file a moment ago is
    rejected too.

    Raises:
        OSError: it is a folder, a pipe, a socket or a device, or cannot be opened.
    """
    if is_remote(path):
        return open_remote(path)
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ENXIO:  # what opening a socket gives
            raise _not_regular("a socket or a device") from error
        raise
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise _not_regular(_KINDS.get(stat.S_IFMT(mode), "not a regular file"))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _not_regular(kind: str) -> OSError:
    return OSError(errno.EINVAL, f"it is {kind}, where a file is expected")
