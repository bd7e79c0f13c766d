"""The cache of compiled graphs in a folder; the digest of each is checked when it is read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CachedGraph", "load_graph", "save_graph"]

_MAGIC = b"pleura graph 1\n"
_DIGEST = 32  # bytes of a SHA-256
_LENGTH = 8  # bytes of the card's length, big-endian
_STALE_S = 3600.0  # an older partial file belongs to a process that was killed


@dataclass(frozen=True, slots=True)
class CachedGraph:
    """A compiled graph, and the card of the weights that it was compiled from."""

    card: str
    compiled: bytes


def load_graph(folder: Path, key: str) -> CachedGraph | None:
    """The graph that was kept under `key`; None if there is none, or its digest is wrong.

    `key` is a hex digest of everything that the compiled graph depends on.
    """
    try:
        content = _path(folder, key).read_bytes()
    except OSError:
        return None
    start = len(_MAGIC) + _DIGEST
    digest, body = content[len(_MAGIC) : start], memoryview(content)[start:]
    if not content.startswith(_MAGIC) or digest != _digest(key, body):
        return None
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "big")
    return CachedGraph(card=str(body[_LENGTH:end], "utf-8"), compiled=bytes(body[end:]))


def save_graph(folder: Path, key: str, graph: CachedGraph) -> None:
    """Keep `graph` under `key`, replacing an older one. Does nothing if no file can be written.

    Other processes that read or write at the same time see the old file or the new one.
    """
    card = graph.card.encode()
    body = len(card).to_bytes(_LENGTH, "big") + card + graph.compiled
    part = folder / f".graph-{os.getpid()}-{secrets.token_hex(4)}.part"
    with contextlib.suppress(OSError):  # without the file the next start is only slower
        folder.mkdir(parents=True, exist_ok=True)
        _remove_partial_files(folder)
        try:
            part.write_bytes(_MAGIC + _digest(key, body) + body)
            part.replace(_path(folder, key))
        finally:
            part.unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    return folder / f"graph-{key[:32]}.blob"


def _digest(key: str, body: bytes | memoryview) -> bytes:
    """The digest of key and content, so that the file of another graph is not used."""
    digest = hashlib.sha256(key.encode())
    digest.update(body)
    return digest.digest()


def _remove_partial_files(folder: Path) -> None:
    """Remove partial files of processes that were killed."""
    for part in folder.glob(".graph-*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_S:
                part.unlink()
