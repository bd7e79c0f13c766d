"""The one place where an engine is opened: library, device, precision, weights."""

from __future__ import annotations

from pleura.core.errors import UsageError
from pleura.runtime.choice import Choice
from pleura.runtime.cpu import int8_pays
from pleura.runtime.engine import Engine, OnnxEngine
from pleura.runtime.threads import usable_cpus
from pleura.runtime.weights import has_shipped, shipped, shipped_digest, shipped_name

__all__ = ["open_weights"]


def open_weights(weights: bytes | None = None, choice: Choice | None = None) -> Engine:
    """An engine with these weights, or with the shipped ones that fit the choice and this CPU.

    Raises:
        ModuleNotFoundError: the engine is not installed.
        UsageError: the choice does not go with these weights, or the device is not there.
        WeightsError: the weights are missing, altered, or no weights.
    """
    choice = choice or Choice()
    if weights is None:
        if choice.precision == "auto":
            return _open_best(choice)
        weights = shipped(shipped_name(choice.precision, fast=choice.fast))
    elif choice.fast:
        raise UsageError("--fast takes a smaller shipped network; leave it or --weights out")
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
    each = max(1, threads // choice.streams)  # a call takes its own threads here
    return OnnxEngine(weights, threads=each, device=choice.device)


def _open_best(choice: Choice) -> Engine:
    """The shipped weights at the precision that is quickest here."""
    fp32, int8 = (shipped_name(each, fast=choice.fast) for each in ("fp32", "int8"))
    if choice.device == "cpu" and int8_pays() and has_shipped(int8):
        engine = _open(shipped(int8), choice)
        if engine.card.made_from == shipped_digest(fp32):  # or it is of other weights than these
            return engine
    return _open(shipped(fp32), choice)
