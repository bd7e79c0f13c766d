"""The weights that come inside the package."""

from __future__ import annotations

import hashlib
from importlib import resources

from pleura.core.errors import WeightsError

__all__ = [
    "ONNX",
    "SAFETENSORS",
    "has_shipped",
    "shipped",
    "shipped_digest",
    "shipped_name",
    "verify",
]

ONNX, SAFETENSORS = "pleura.onnx", "pleura.safetensors"
"""The same weights for segmenting and for training on; `NAME.sha256` lies beside each."""


def shipped_name(precision: str, *, fast: bool = False) -> str:
    """What the shipped graph of a precision is called: `pleura-int8.onnx`, `pleura-fast.onnx`..."""
    stem, ending = ONNX.split(".")
    parts = [stem, *(["fast"] if fast else []), *(["int8"] if precision == "int8" else [])]
    return f"{'-'.join(parts)}.{ending}"


def has_shipped(name: str) -> bool:
    """Whether weights of that name came with this installation."""
    return (resources.files("pleura") / "weights" / name).is_file()


def shipped_digest(name: str) -> str | None:
    """What the .sha256 beside shipped weights says; None if there is none."""
    told = resources.files("pleura") / "weights" / f"{name}.sha256"
    return told.read_text(encoding="ascii").split()[0] if told.is_file() else None


def shipped(name: str = ONNX) -> bytes:
    """The bytes of the shipped weights, checked against the digest shipped beside them.

    Raises:
        WeightsError: the file is missing from the installation, or its bytes were altered.
    """
    folder = resources.files("pleura") / "weights"
    try:
        weights = (folder / name).read_bytes()
        told = (folder / f"{name}.sha256").read_text(encoding="ascii")
    except OSError as error:
        raise WeightsError(
            f"the shipped weights {name} or their .sha256 are missing from this installation "
            f"({error}); install pleura again, or name weights of your own"
        ) from error
    verify(weights, told, name=name)
    return weights


def verify(weights: bytes, told: str, *, name: str = ONNX) -> None:
    """Compare with a digest as `sha256sum` writes it: hex, and perhaps the file's name after it.

    Raises:
        WeightsError: the digests differ.
    """
    found, expected = hashlib.sha256(weights).hexdigest(), (told.split() or [""])[0].lower()
    if found != expected:
        raise WeightsError(
            f"{name} was altered or cut short: its sha256 is {found}, expected "
            f"{expected or 'one in ' + name + '.sha256'}; install pleura again"
        )
