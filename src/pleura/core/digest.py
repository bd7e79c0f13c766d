"""SHA-256 digests in text, as `sha256sum` writes and reads them: `HEX  NAME`."""

from __future__ import annotations

import hashlib

__all__ = ["SUFFIX", "digest_in", "digest_line", "sha256"]

SUFFIX = ".sha256"
"""The suffix of the digest file of a file: `NAME.sha256`."""


def sha256(content: bytes) -> str:
    """The digest of some bytes, 64 hexadecimal digits in lower case."""
    return hashlib.sha256(content).hexdigest()


def digest_line(digest: str, name: str) -> str:
    """The text of a digest file for the file `name`."""
    return f"{digest}  {name}\n"


def digest_in(text: str) -> str:
    """The digest in the text of a digest file, in lower case; empty where there is none.

    It is not checked: it may have fewer than 64 hexadecimal digits.
    """
    return (text.split() or [""])[0].lower()
