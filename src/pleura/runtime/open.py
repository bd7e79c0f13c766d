"""Opening an engine by library, device, precision and weights; all callers use this module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pleura.core.did_you_mean import did_you_mean
from pleura.core.digest import SUFFIX, digest_in, sha256
from pleura.core.errors import UsageError, WeightsError
from pleura.runtime.engine import Engine, OnnxEngine
from pleura.runtime.ensemble import Ensemble
from pleura.runtime.threads import int8_pays, usable_cpus

__all__ = [
    "DEVICES",
    "ENGINES",
    "ONNX",
    "PRECISIONS",
    "Choice",
    "has_shipped",
    "open_weights",
    "read_weights",
    "shipped",
    "shipped_digest",
    "shipped_name",
    "verify",
]


def open_weights(*weights: bytes, choice: Choice | None = None) -> Engine:
    """An engine with these weights, or with the shipped ones that fit the choice and this CPU.

    Several weights make an `Ensemble`, whose maps are the mean of theirs.

    Raises:
        ModuleNotFoundError: the engine is not installed.
        UsageError: the choice does not fit these weights, the device is not available, or weights
            are given twice.
        WeightsError: the weights are missing or altered, the file has no weights, or several have
            different channels.
    """
    choice = choice or Choice()
    if weights and choice.fast:
        raise UsageError("--fast takes a smaller shipped network; leave it or --weights out")
    if len(weights) > 1:
        return Ensemble(
            [_open_member(number, weights, choice) for number in range(1, len(weights) + 1)]
        )
    if weights:
        return _open_checked(weights[0], choice)
    if choice.precision == "auto":
        return _open_best(choice)
    return _open_checked(shipped(shipped_name(choice.precision, fast=choice.fast)), choice)


def _open_member(number: int, weights: Sequence[bytes], choice: Choice) -> Engine:
    """An engine with the weights of this number, from 1; errors name the number."""
    try:
        return _open_checked(weights[number - 1], choice)
    except (UsageError, WeightsError) as error:
        text = f"file {number} of the {len(weights)} weights: {error}"
        raise type(error)(text) from error


def _open_checked(weights: bytes, choice: Choice) -> Engine:
    """An engine with these weights; `UsageError` if they have another precision than chosen."""
    engine = _open(weights, choice)
    if engine.card.precision != choice.precision and choice.precision in ("int8", "fp32"):
        raise UsageError(
            f"these weights are {engine.card.precision}, not {choice.precision}: leave --precision "
            "out; `pleura quantise` makes int8 weights of fp32 ones"
        )
    return engine


def _open(weights: bytes, choice: Choice) -> Engine:
    threads = choice.threads or usable_cpus()
    if choice.library == "openvino":
        from pleura.runtime.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(
            weights,
            threads=threads,
            streams=choice.streams,
            precision="bf16" if choice.precision == "bf16" else None,
            cache=choice.cache,
        )
    threads_a_call = max(1, threads // choice.streams)  # each call has its own threads here
    return OnnxEngine(weights, threads=threads_a_call, device=choice.device)


def _open_best(choice: Choice) -> Engine:
    """The shipped weights at the precision that is fastest on this CPU."""
    fp32, int8 = (shipped_name(precision, fast=choice.fast) for precision in ("fp32", "int8"))
    if choice.device == "cpu" and int8_pays() and has_shipped(int8):
        engine = _open(shipped(int8), choice)
        if engine.card.made_from == shipped_digest(fp32):  # int8 of these weights, and no others
            return engine
    return _open(shipped(fp32), choice)


ENGINES = ("auto", "openvino", "onnxruntime")
"""The engines. `auto` is the fastest one for the device: openvino, which the base install contains,
on the cpu; onnxruntime on the others."""

DEVICES = ("cpu", "cuda", "coreml")
"""The devices; the last two need an onnxruntime that was built for them."""

PRECISIONS = ("auto", "int8", "bf16", "fp32")
"""The precisions; `auto` is int8 where this CPU is faster with it and such weights exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Engine, device, precision and threads; the defaults suit most machines.

    Raises:
        UsageError: an unknown name, or two that cannot be combined.
    """

    engine: str = ENGINES[0]
    device: str = DEVICES[0]
    precision: str = PRECISIONS[0]
    fast: bool = False
    """Take the smaller shipped network."""

    threads: int | None = None
    """CPUs that the network may use; None takes all CPUs of this process."""

    streams: int = 1
    """Calls that are computed at the same time, each on its share of the threads; more calls
    wait."""

    cache: str = ""
    """A folder for compiled graphs; none if empty."""

    def __post_init__(self) -> None:
        _check(self.engine, ENGINES, "engine")
        _check(self.device, DEVICES, "device")
        _check(self.precision, PRECISIONS, "precision")
        if self.engine == "openvino" and self.device != "cpu":
            raise UsageError(
                f"openvino computes on the cpu here; for {self.device} take onnxruntime"
            )
        if self.library == "onnxruntime" and self.precision == "bf16":
            raise UsageError("onnxruntime does not compute in bf16; take --engine openvino")

    @property
    def library(self) -> str:
        """The engine, once `auto` is resolved."""
        if self.engine != "auto":
            return self.engine
        return "openvino" if self.device == "cpu" else "onnxruntime"


def _check(given: str, known: Sequence[str], what: str) -> None:
    if given not in known:
        raise UsageError(f"no {what} is called '{given}'; {did_you_mean(given, known)}")


ONNX = "pleura.onnx"
"""The shipped fp32 weights, to segment with and to continue training from; see `NAME.sha256`."""


def shipped_name(precision: str, *, fast: bool = False) -> str:
    """The file name of a shipped graph: `pleura-int8.onnx`, `pleura-fast.onnx`..."""
    stem, ending = ONNX.split(".")
    parts = [stem, *(["fast"] if fast else []), *(["int8"] if precision == "int8" else [])]
    return f"{'-'.join(parts)}.{ending}"


def has_shipped(name: str) -> bool:
    """Whether weights of that name came with this installation."""
    return (resources.files("pleura") / "weights" / name).is_file()


def shipped_digest(name: str) -> str | None:
    """The digest in the .sha256 file beside shipped weights; None without that file."""
    beside = resources.files("pleura") / "weights" / (name + SUFFIX)
    return digest_in(beside.read_text(encoding="ascii")) if beside.is_file() else None


def shipped(name: str = ONNX) -> bytes:
    """The bytes of the shipped weights, checked against the .sha256 file beside them.

    Raises:
        WeightsError: the file is missing from the installation, or its bytes were altered.
    """
    folder = resources.files("pleura") / "weights"
    try:
        weights = (folder / name).read_bytes()
        digest_text = (folder / (name + SUFFIX)).read_text(encoding="ascii")
    except OSError as error:
        raise WeightsError(
            f"the shipped weights {name} or their .sha256 are missing from this installation "
            f"({error}); install pleura again, or name weights of your own"
        ) from error
    verify(weights, digest_text, name=name)
    return weights


def verify(
    weights: bytes, digest_text: str, *, name: str = ONNX, remedy: str = "install pleura again"
) -> None:
    """Compare the weights with a digest as `sha256sum` writes it, with or without a file name.

    `remedy` ends the message.

    Raises:
        WeightsError: the digests differ.
    """
    digest, expected = sha256(weights), digest_in(digest_text)
    if digest != expected:
        raise WeightsError(
            f"{name} was altered or cut short: its sha256 is {digest}, expected "
            f"{expected or 'one in ' + name + '.sha256'}; {remedy}"
        )


def read_weights(path: Path) -> bytes:
    """The bytes of a weights file.

    Raises:
        WeightsError: it cannot be read, or the digest in the `.sha256` file beside it is another.
    """
    beside = path.with_name(path.name + SUFFIX)
    try:
        content = path.read_bytes()
        digest_text = beside.read_text(errors="replace") if beside.is_file() else None
    except OSError as error:
        raise WeightsError(
            f"cannot read the weights {path} ({error.strerror or error}); give the .onnx file "
            "that `pleura export` wrote, or none for the shipped weights"
        ) from error
    if digest_text is not None:
        remedy = f"export or copy the weights again, or remove {beside.name} if they are right"
        verify(content, digest_text, name=path.name, remedy=remedy)
    return content
