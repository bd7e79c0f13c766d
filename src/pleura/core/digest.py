"""SHA-256 digests in text, as `sha256sum` writes and reads them: `HEX  NAME`."""

from __future__ import annotations

import hashlib

__all__ = ["SUFFIX", "digest_in", "digest_line", "sha256"]

SUFFIX = ".sha256"
"""What the name of a file is followed by in the name of the file with its digest."""


def sha256(content: bytes) -> str:
    """The digest of some bytes, 64 hexadecimal digits in lower case."""
    return hashlib.sha256(content).hexdigest()


def digest_line(digest: str, name: str) -> str:
    """The text of a digest file for the file `name`."""
    return f"{digest}  {name}\n"


def digest_in(text: str) -> str:
    """The digest in the text of a digest file, in lower case; empty where there is none.

    It is taken as it stands: nothing tells whether it has 64 hexadecimal digits.
    """
    return (text.split() or [""])[0].lower()
