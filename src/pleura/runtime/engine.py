"""Engines, which predict probability maps from squares: the protocol, ONNX Runtime, checks."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.runtime.threads import usable_cpus

__all__ = [
    "INPUT_NAME",
    "OUTPUT_NAME",
    "Engine",
    "EngineWrapper",
    "OnnxEngine",
    "check_batch",
    "check_maps",
    "check_shapes",
    "no_graph",
    "read_card",
]


PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
}
"""ONNX Runtime's names of the devices. The CPU computes operators that a device does not have."""

ROUNDING = 1e-6
"""The largest distance of a network's value from [0, 1] that is a rounding error."""

INSTALL_HINTS = {
    "cuda": "on a machine with a CUDA GPU: pip uninstall onnxruntime; pip install onnxruntime-gpu",
    "coreml": "it comes with onnxruntime on macOS only",
}


class Engine(Protocol):
    """A network, loaded and ready to predict. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """Library, version, device and precision, e.g. `onnxruntime 1.32.0 cpu int8`."""
        ...

    @property
    def card(self) -> Card:
        """The card of the weights."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Hex digest of the weights file's bytes."""
        ...

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card."""
        ...


class EngineWrapper:
    """A wrapper of an engine, with its name, card and digest."""

    engine: Engine
    """The wrapped engine."""

    @property
    def name(self) -> str:
        """The name of the wrapped engine."""
        return self.engine.name

    @property
    def card(self) -> Card:
        """The card of the wrapped engine's weights."""
        return self.engine.card

    @property
    def weights_sha256(self) -> str:
        """The digest of the wrapped engine's weights."""
        return self.engine.weights_sha256


class OnnxEngine:
    """The engine of ONNX Runtime."""

    def __init__(self, weights: bytes, *, threads: int | None = None, device: str = "cpu") -> None:
        """Load the ONNX graph in `weights`; its card lies in `metadata_props["pleura"]`.

        `threads` is how many CPUs one call may use; None takes `usable_cpus()`. `device` is one
        of `PROVIDERS`.

        Raises:
            UsageError: the ONNX Runtime that is installed does not support this device.
            WeightsError: no ONNX graph, no card, unknown channels, or a graph whose input and
                output do not match its card.
        """
        self._session, version = _load(weights, threads or usable_cpus(), device)
        self.card = read_card(self._session.get_modelmeta().custom_metadata_map.get(CARD_KEY))
        self.name = f"onnxruntime {version} {device} {self.card.precision}"
        self.weights_sha256 = hashlib.sha256(weights).hexdigest()
        ends = (*self._session.get_inputs(), *self._session.get_outputs())
        check_shapes({end.name: end.shape[1:] for end in ends}, self.card)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card.

        Raises:
            ValueError: the batch has another shape or dtype.
            WeightsError: the network gave something that is no probability.
        """
        check_batch(batch, self.card)
        return check_maps(self._session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0])


def _load(weights: bytes, threads: int, device: str) -> tuple[Any, str]:
    """An inference session and ONNX Runtime's version; it is imported here only."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal errors only; other errors are raised
    try:
        session = onnxruntime.InferenceSession(
            weights,
            sess_options=options,
            providers=_providers(device, onnxruntime.get_available_providers()),
        )
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoModel,
        errors.NotImplemented,
        errors.RuntimeException,
    ) as error:
        raise WeightsError(no_graph(weights, "ONNX Runtime", str(error))) from error
    return session, onnxruntime.__version__


def no_graph(weights: bytes, library: str, reason: str) -> str:
    """The message for a file that a library cannot load as ONNX graph; `reason` is its own."""
    if weights.startswith(b"PK"):  # a zip archive, as torch writes it
        return (
            "this is a checkpoint of a training run, not its weights; take the .onnx file in the "
            "run's folder weights, or make one with `pleura export`"
        )
    what = reason.strip().rstrip(".") or "the file is damaged, cut short or of another kind"
    return (
        f"these weights ({len(weights)} bytes) are no ONNX graph that {library} can load: {what}. "
        "Take the shipped weights, or export yours again with `pleura export`"
    )


def _providers(device: str, available: list[str]) -> list[str]:
    """The providers in order, the CPU last.

    Raises:
        UsageError: the device is not available. The CPU does not replace it without notice.
    """
    if PROVIDERS[device] not in available:
        raise UsageError(
            f"the onnxruntime installed here cannot compute on '{device}': "
            f"{INSTALL_HINTS[device]}; or take --device cpu"
        )
    return list(dict.fromkeys([PROVIDERS[device], PROVIDERS["cpu"]]))


INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
"""Names inside the ONNX graph: (N, 1, S, S) in, (N, C, S, S) out, the sigmoid included."""

Shape = list[int | str | None]
"""The shape of an input or output without its batch axis; an axis of any size is no number."""


def read_card(text: str | None) -> Card:
    """The card in a graph's metadata.

    Raises:
        WeightsError: there is no card, or it cannot be read.
    """
    if text is None:
        raise WeightsError(
            f"this ONNX graph has no card (metadata key '{CARD_KEY}'), so its channels are "
            "unknown; export the weights again with `pleura export`"
        )
    return Card.from_json(text)


def check_shapes(given: dict[str, Shape], card: Card) -> None:
    """Check that the graph takes `image` and gives `probabilities`, of the shapes on the card.

    Raises:
        WeightsError: other names, or other shapes.
    """
    wanted = {
        INPUT_NAME: [1, card.side, card.side],
        OUTPUT_NAME: [len(card.channels), card.side, card.side],
    }
    if given.keys() != wanted.keys() or not all(_agree(given[k], wanted[k]) for k in wanted):
        raise WeightsError(
            f"the graph does not match its card: expected {wanted} after the batch axis, "
            f"got {given}; export the weights again with `pleura export`"
        )


def check_batch(batch: NDArray[np.float32], card: Card) -> None:
    """Raise `ValueError` unless `batch` is (N, 1, S, S) float32."""
    square = (1, card.side, card.side)
    if batch.ndim != 4 or batch.shape[1:] != square or batch.dtype != np.float32:
        raise ValueError(
            f"a batch must be (N, {', '.join(map(str, square))}) float32, "
            f"got {batch.shape} {batch.dtype}"
        )


def check_maps(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maps, checked to lie in [0, 1]; a rounding error outside is clipped.

    ONNX Runtime's sigmoid of 17.96 is 1.0000001.

    Raises:
        WeightsError: a value is no probability.
    """
    lowest, highest = maps.min(initial=0), maps.max(initial=0)
    if not (lowest >= -ROUNDING and highest <= 1 + ROUNDING):  # also false for nan
        raise WeightsError(
            "the network gave values outside [0, 1]; its weights are damaged or were "
            "exported without their sigmoid: export or install them again"
        )
    return maps if lowest >= 0 and highest <= 1 else maps.clip(0, 1)


def _agree(given: Shape, wanted: list[int]) -> bool:
    """Whether the sizes are equal; an axis of any size agrees with every size."""
    return len(given) == len(wanted) and all(
        not isinstance(a, int) or a == b for a, b in zip(given, wanted, strict=True)
    )
