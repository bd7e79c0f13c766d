"""OpenVINO: the engine of the base install."""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.runtime.contract import (
    INPUT_NAME,
    OUTPUT_NAME,
    Shape,
    check_batch,
    check_maps,
    check_shapes,
    read_card,
)
from pleura.runtime.threads import usable_cpus

__all__ = ["OpenVinoEngine"]


class OpenVinoEngine:
    """OpenVINO on the CPU: the same ONNX files, at the precision asked for."""

    def __init__(
        self,
        weights: bytes,
        *,
        threads: int | None = None,
        streams: int = 1,
        precision: str | None = None,
        cache: str = "",
    ) -> None:
        """Load the ONNX graph in `weights`; its card lies in `metadata_props["pleura"]`.

        `threads` is how many CPUs it may use, None takes `usable_cpus()`; `streams` is how many
        calls it computes at the same time, each on its share of them.
        `precision` is `bf16` to compute an fp32 graph so; None takes the graph's own. `cache` is
        a folder for what was compiled, so that the next start is quicker; none if empty.

        Raises:
            ModuleNotFoundError: OpenVINO is not installed.
            UsageError: this CPU has no bf16.
            WeightsError: as `OnnxEngine`.
        """
        openvino = _openvino()
        core = openvino.Core()
        if precision == "bf16" and "BF16" not in core.get_property(
            "CPU", "OPTIMIZATION_CAPABILITIES"
        ):
            raise UsageError("this CPU does not compute in bf16; take --precision int8 or fp32")
        model, self.card = _read(core, weights)
        model.reshape([1, 1, self.card.side, self.card.side])
        settings = {
            "INFERENCE_NUM_THREADS": threads or usable_cpus(),
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            **({"CACHE_DIR": cache} if cache else {}),
        }
        self._model = core.compile_model(model, "CPU", settings)
        self._own = threading.local()
        version = openvino.__version__.partition("-")[0]
        self.name = f"openvino {version} cpu {precision or self.card.precision}"
        self.weights_sha256 = hashlib.sha256(weights).hexdigest()

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card.

        One film after the other: on a CPU that is no slower than all at once, and a graph of a
        fixed shape is faster than an open one.

        Raises:
            ValueError: the batch has another shape or dtype.
            WeightsError: the network gave something that is no probability.
        """
        check_batch(batch, self.card)
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        side = self.card.side
        maps = np.empty((len(batch), len(self.card.channels), side, side), np.float32)
        for film, into in zip(batch, maps, strict=True):
            given = {INPUT_NAME: film[None]}
            told = self._own.request.infer(given, share_inputs=True, share_outputs=True)
            into[:] = told[OUTPUT_NAME][0]  # the request's own memory: copied before its next call
        return check_maps(maps)


_once = threading.Lock()


def _openvino() -> Any:
    """OpenVINO, fit for threads.

    Asked for a numpy type the first time, OpenVINO fills a table, and lets go of Python's lock
    meanwhile: a second thread that asks takes that lock and waits for the table, and both wait
    forever (2026.4). So it is asked here, before there is a second thread.
    """
    with _once:
        loaded = sys.modules.get("openvino") or _imported()
        loaded.Type.f32.to_dtype()
    return loaded


def _imported() -> Any:
    """OpenVINO without its telemetry, which otherwise reports to its makers on import."""
    before = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # "not to be found"
    try:
        import openvino
    finally:
        del sys.modules["openvino_telemetry"]
        if before is not None:
            sys.modules["openvino_telemetry"] = before
    return openvino


def _read(core: Any, weights: bytes) -> tuple[Any, Card]:
    """The graph, checked against its card."""
    try:
        model = core.read_model(weights)
    except RuntimeError as error:
        raise WeightsError(
            f"these weights ({len(weights)} bytes) are no ONNX graph that OpenVINO can load: "
            f"{str(error).splitlines()[-1]}. Take the shipped weights, or export yours again with "
            "`pleura export`"
        ) from error
    path = ["framework", CARD_KEY]
    card = read_card(str(model.get_rt_info(path).value) if model.has_rt_info(path) else None)
    check_shapes({end.get_any_name(): _shape(end) for end in (*model.inputs, *model.outputs)}, card)
    return model, card


def _shape(end: Any) -> Shape:
    sizes = list(end.get_partial_shape())[1:]
    return [size.get_length() if size.is_static else None for size in sizes]
