"""Engines: what turns squares into probabilities."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import WeightsError
from pleura.runtime.threads import usable_cpus

__all__ = ["INPUT_NAME", "OUTPUT_NAME", "Engine", "OnnxEngine"]

INPUT_NAME, OUTPUT_NAME = "image", "probabilities"
"""Names inside the ONNX graph: (N, 1, S, S) in, (N, C, S, S) out, the sigmoid included."""


class Engine(Protocol):
    """Weights, loaded and ready. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """The library that computes and its version, e.g. `onnxruntime 1.22.0 cpu`."""
        ...

    @property
    def card(self) -> Card:
        """What the weights say about themselves."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Hex digest of the weights file's bytes."""
        ...

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card."""
        ...


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, weights: bytes, *, threads: int | None = None) -> None:
        """Load the ONNX graph in `weights`; its card lies in `metadata_props["pleura"]`.

        `threads` is how many CPUs one call may use; None takes `usable_cpus()`.

        Raises:
            WeightsError: no ONNX graph, no card, unknown channels, or a graph that does not
                take and give what its card says.
        """
        self._session, self.name = _load(weights, threads or usable_cpus())
        self.card = _read_card(self._session)
        self.weights_sha256 = hashlib.sha256(weights).hexdigest()
        _check_shapes(self._session, self.card)

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card.

        Raises:
            ValueError: the batch has another shape or dtype.
            WeightsError: the network gave something that is no probability.
        """
        square = (1, self.card.side, self.card.side)
        if batch.ndim != 4 or batch.shape[1:] != square or batch.dtype != np.float32:
            raise ValueError(
                f"a batch must be (N, {', '.join(map(str, square))}) float32, "
                f"got {batch.shape} {batch.dtype}"
            )
        maps: NDArray[np.float32] = self._session.run([OUTPUT_NAME], {INPUT_NAME: batch})[0]
        if not (maps.min(initial=0) >= 0 and maps.max(initial=0) <= 1):  # also false for nan
            raise WeightsError(
                "the network gave values outside [0, 1]; its weights are damaged or were "
                "exported without their sigmoid: export or install them again"
            )
        return maps


def _load(weights: bytes, threads: int) -> tuple[Any, str]:
    """An inference session and the name of what runs it; ONNX Runtime is imported here only."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # fatal only: what else goes wrong is raised
    try:
        session = onnxruntime.InferenceSession(
            weights, sess_options=options, providers=["CPUExecutionProvider"]
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
        raise WeightsError(
            f"these weights ({len(weights)} bytes) are no ONNX graph that ONNX Runtime can load: "
            f"{error}. Take the shipped weights, or export yours again with `pleura export`"
        ) from error
    return session, f"onnxruntime {onnxruntime.__version__} cpu"


def _read_card(session: Any) -> Card:
    told = session.get_modelmeta().custom_metadata_map
    if CARD_KEY not in told:
        raise WeightsError(
            f"this ONNX graph has no card (metadata key '{CARD_KEY}'), so nothing says what its "
            "channels are; export the weights again with `pleura export`"
        )
    return Card.from_json(told[CARD_KEY])


def _check_shapes(session: Any, card: Card) -> None:
    """The graph takes `image` and gives `probabilities`, shaped as the card says."""
    given = {each.name: each.shape[1:] for each in (*session.get_inputs(), *session.get_outputs())}
    wanted = {
        INPUT_NAME: [1, card.side, card.side],
        OUTPUT_NAME: [len(card.channels), card.side, card.side],
    }
    if given.keys() != wanted.keys() or not all(_agree(given[k], wanted[k]) for k in wanted):
        raise WeightsError(
            f"the graph does not match its card: expected {wanted} after the batch axis, "
            f"got {given}; export the weights again with `pleura export`"
        )


def _agree(given: list[int | str | None], wanted: list[int]) -> bool:
    """Equal where the graph fixes a size; an axis left open agrees with any."""
    return len(given) == len(wanted) and all(
        not isinstance(a, int) or a == b for a, b in zip(given, wanted, strict=True)
    )
