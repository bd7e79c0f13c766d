"""Files in object stores: what URLs such as s3://bucket/films name.

A film in an object store has a path like any other film: `s3://bucket/a.png` is
`Path("s3:/bucket/a.png")`, which is never the absolute path of a file on disk. A user may stand
before the bucket: gs://anonymous@bucket is read without credentials.
"""

from __future__ import annotations

import errno
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pleura.core.errors import UsageError

__all__ = [
    "is_remote",
    "is_remote_folder",
    "local_or_remote",
    "name_of",
    "open_remote",
    "read_head",
    "walk_remote",
]

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]+"
_REMOTE = re.compile(f"{_SCHEME}:").fullmatch
_MAX_BYTES = 500_000_000

_RETRY_S = 30
"""How long Google's library repeats a request that fails, s; by default 15 minutes."""


def local_or_remote(name: str | Path) -> Path:
    """The path of a file or of a URL; `file://` is a path on disk."""
    text = str(name)
    if not re.match(f"{_SCHEME}://", text):
        return Path(name)
    if text.lower().startswith("file://"):
        return Path(url2pathname(urlsplit(text).path))
    path = Path(text)
    if name_of(path) != text.rstrip("/"):
        raise UsageError(f"{text} has an empty part, or . or .. in it; give it without")
    user, _, bucket = "".join(path.parts[1:2]).rpartition("@")
    if ":" in user:
        raise UsageError(
            f"a URL of {path.parts[0]}//{bucket} has a password in it, which the table would show; "
            "give it as AWS_SECRET_ACCESS_KEY, or as Google's libraries want it"
        )
    return path


def is_remote(path: Path) -> bool:
    """Whether a path is one of an object store."""
    return not path.is_absolute() and bool(path.parts) and _REMOTE(path.parts[0]) is not None


def name_of(path: Path) -> str:
    """The path as text for tables and messages; of an object store, its URL."""
    if not is_remote(path):
        return str(path)
    return f"{path.parts[0]}//{'/'.join(path.parts[1:])}"


def is_remote_folder(path: Path) -> bool:
    """Whether there is something below the URL, and not a file at it.

    Raises:
        FileNotFoundError: there is neither.
        OSError: the store does not answer, or refuses.
    """
    from pyarrow import fs

    store, key = _store_and_key(path)
    kind = store.get_file_info(key).type
    if kind == fs.FileType.NotFound:
        raise FileNotFoundError(errno.ENOENT, "there is no such file or folder", name_of(path))
    return bool(kind == fs.FileType.Directory)


def open_remote(path: Path) -> IO[bytes]:
    """The whole file, in memory; `OSError` if it cannot be read."""
    store, key = _store_and_key(path)
    with store.open_input_file(key) as file:
        if file.size() > _MAX_BYTES:
            raise OSError(errno.EFBIG, f"it has more than {_MAX_BYTES} bytes")
        return BytesIO(file.readall())


def read_head(path: Path, size: int) -> bytes:
    """The first bytes of a file; `OSError` if it cannot be read."""
    store, key = _store_and_key(path)
    with store.open_input_file(key) as file:
        return bytes(file.read(size))


def walk_remote(
    top: Path, *, on_error: Callable[[str, OSError], None]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (URL of a folder, names of its folders, names of its files) from `top` down, sorted.

    The caller may remove names from the list of folders; these folders are not entered.
    """
    try:
        listed = _listed(top)
    except OSError as error:
        on_error(name_of(top), error)
        return
    waiting = [top]
    while waiting:
        place = waiting.pop()
        folders, files = (sorted(names) for names in listed[place.parts])
        yield name_of(place), folders, files
        waiting += [place / name for name in reversed(folders)]


def _listed(top: Path) -> dict[tuple[str, ...], tuple[set[str], set[str]]]:
    """The names of the folders and of the files in `top` and in each folder below, by its parts.

    One listing of all that lies below: in Google Cloud Storage a folder is nothing but a part of
    its files' names, and pyarrow's listing of a single folder leaves the folders in it out.
    """
    from pyarrow import fs

    store, key = _store_and_key(top)
    listed: dict[tuple[str, ...], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for info in store.get_file_info(fs.FileSelector(key, recursive=True)):
        *folders, name = info.path[len(key) + 1 :].split("/")
        place = top.parts
        for folder in folders:
            listed[place][0].add(folder)
            place = (*place, folder)
        listed[place][info.type != fs.FileType.Directory].add(name)
    return listed


def _store_and_key(path: Path) -> tuple[Any, str]:
    """The store, and the file's name in it: bucket and key."""
    scheme, bucket, *folders = (*path.parts, "")
    user, _, bucket = bucket.rpartition("@")
    return _store(scheme, user, bucket), "/".join([bucket, *folders]).rstrip("/")


@lru_cache(maxsize=16)
def _store(scheme: str, user: str, bucket: str) -> Any:
    from pyarrow import fs

    url = f"{scheme}//{user}{'@' * bool(user)}{bucket}"
    limit = f"?retry_limit_seconds={_RETRY_S}" if scheme in ("gs:", "gcs:") else ""
    try:
        store, _ = fs.FileSystem.from_uri(f"{url}{limit}")
    except ValueError as error:  # pyarrow's errors of usage
        raise UsageError(f"cannot read {url}: {error}; give s3:// or gs://, or a path") from error
    return store
