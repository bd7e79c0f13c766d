"""The shipped weights, and files that are not what they were."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pleura.core.errors import WeightsError
from pleura.runtime import open as weights
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import shipped, verify

CONTENT = b"weights, for the sake of argument"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("digest_text", [DIGEST, DIGEST.upper() + "\n", f"{DIGEST}  pleura.onnx\n"])
def test_unaltered(digest_text: str) -> None:
    verify(CONTENT, digest_text)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\n", b"", b"W" + CONTENT[1:]])
def test_altered(content: bytes) -> None:
    with pytest.raises(WeightsError, match="altered or cut short") as caught:
        verify(content, DIGEST)
    assert DIGEST in str(caught.value)


@pytest.mark.parametrize("digest_text", ["", "\n", "not a digest"])
def test_weights_without_a_digest_are_refused(digest_text: str) -> None:
    with pytest.raises(WeightsError, match="altered or cut short"):
        verify(CONTENT, digest_text)


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `shipped` look for an installed package in `folder`."""
    monkeypatch.setattr(weights.resources, "files", lambda package: folder)
    (folder / "weights").mkdir()
    (folder / "weights" / "pleura.onnx").write_bytes(CONTENT)
    (folder / "weights" / "pleura.onnx.sha256").write_text(f"{DIGEST}  pleura.onnx\n")


def test_an_installation_as_it_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    assert shipped() == CONTENT


@pytest.mark.parametrize("missing", ["pleura.onnx", "pleura.onnx.sha256"])
def test_an_installation_with_a_file_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    install(tmp_path, monkeypatch)
    (tmp_path / "weights" / missing).unlink()
    with pytest.raises(WeightsError, match="are missing from this installation"):
        shipped()


def test_an_installation_that_was_altered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch)
    (tmp_path / "weights" / "pleura.onnx").write_bytes(CONTENT + b"!")
    with pytest.raises(WeightsError, match="install pleura again"):
        shipped()


def test_the_shipped_weights_load_and_answer() -> None:
    engine = OnnxEngine(shipped())
    side = engine.card.side
    batch = np.random.default_rng(0).random((2, 1, side, side), dtype=np.float32)
    maps = engine.predict(batch)
    assert maps.shape == (2, len(engine.card.channels), side, side)
    assert "field" in engine.card.definitions
    alone = engine.predict(batch[1:])
    np.testing.assert_allclose(maps[1:], alone, atol=1e-4)  # a batch changes nobody's answer
