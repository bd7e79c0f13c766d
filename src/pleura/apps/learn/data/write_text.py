"""Writing a text file that a command was asked for, but not over other content."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_text"]


def write_text(text: str, out: Path, *, overwrite: bool) -> None:
    """Write `text` to `out`; `UsageError` if that file has other content, without `overwrite`."""
    from pleura.core.errors import UsageError
    from pleura.io.files.atomic import atomic_write

    if out.is_file() and not overwrite:
        if out.read_bytes() == text.encode():
            return
        raise UsageError(
            f"{out} has other content; give another --out, or --overwrite to replace it"
        )
    with atomic_write(out, "w") as file:
        file.write(text)
