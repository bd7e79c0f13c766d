"""Digests in text: what `sha256sum` writes is read, and the other way round."""

from __future__ import annotations

import pytest

from pleura.core.digest import digest_in, digest_line, sha256

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # FIPS 180-4, no bytes


def test_a_line_is_what_sha256sum_writes() -> None:
    assert digest_line(sha256(b""), "film.onnx") == f"{EMPTY}  film.onnx\n"


@pytest.mark.parametrize(
    ("text", "digest"),
    [(f"{EMPTY}  film.onnx\n", EMPTY), (EMPTY.upper(), EMPTY), ("", ""), (" \n", "")],
)
def test_a_digest_is_read_from_a_line_or_alone(text: str, digest: str) -> None:
    assert digest_in(text) == digest
