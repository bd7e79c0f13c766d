"""OpenVINO: the engine of the base install."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.runtime.engine import (
    INPUT_NAME,
    OUTPUT_NAME,
    Shape,
    check_batch,
    check_maps,
    check_shapes,
    no_graph,
    read_card,
)
from pleura.runtime.graph_cache import CachedGraph, load_graph, save_graph
from pleura.runtime.threads import cpu_features, usable_cpus

__all__ = ["OpenVinoEngine"]

_ISA_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that limit the instruction sets for which OpenVINO compiles."""


class OpenVinoEngine:
    """OpenVINO on the CPU: the same ONNX files, at the requested precision."""

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
        calls it computes at the same time, each on its share of them. `precision` `bf16` computes
        an fp32 graph in bf16; None keeps the graph's own precision. `cache` is a folder for
        compiled graphs, which make the next start quicker; empty for none. If no file can be
        written there, nothing is kept. A damaged file in it is replaced.

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
        hint = "bf16" if precision == "bf16" else "f32"
        settings = {
            "INFERENCE_NUM_THREADS": threads or usable_cpus(),
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": hint,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # else every process on a machine takes the same cores
        }
        self.weights_sha256 = hashlib.sha256(weights).hexdigest()
        key = _key(core, self.weights_sha256, hint)
        opened = _open_cached(core, settings, cache, key) if cache else None
        self.was_cached = opened is not None
        """Whether the compiled graph was read from `cache` at this start."""

        self._model, self.card = opened or _compile(core, weights, settings, (cache, key))
        self._per_thread = threading.local()
        version = openvino.__version__.partition("-")[0]
        self.name = f"openvino {version} cpu {precision or self.card.precision}"

    def predict(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 1, S, S) float32 in [0, 1] -> (N, C, S, S) float32 in [0, 1]; C as in the card.

        Films are computed one after another. On a CPU this is not slower than one batch, and a
        graph of a fixed shape is faster than one for any batch.

        Raises:
            ValueError: the batch has another shape or dtype.
            WeightsError: the network gave something that is no probability.
        """
        check_batch(batch, self.card)
        if not hasattr(self._per_thread, "request"):
            self._per_thread.request = self._model.create_infer_request()
        side = self.card.side
        maps = np.empty((len(batch), len(self.card.channels), side, side), np.float32)
        for film, into in zip(batch, maps, strict=True):
            given = {INPUT_NAME: film[None]}
            answer = self._per_thread.request.infer(given, share_inputs=True, share_outputs=True)
            # The next call overwrites the memory of the answer, so it is copied.
            into[:] = answer[OUTPUT_NAME][0]
        return check_maps(maps)


_import_lock = threading.Lock()


def _openvino() -> Any:
    """OpenVINO, ready for use from several threads.

    At its first conversion to a numpy type, OpenVINO fills a table and releases Python's lock
    during that time. If a second thread converts then, it takes that lock and waits for the table,
    and both threads wait for ever (seen in OpenVINO 2026.4). So the first conversion is done here,
    under a lock of our own.
    """
    with _import_lock:
        loaded = sys.modules.get("openvino") or _imported()
        loaded.Type.f32.to_dtype()
    return loaded


def _imported() -> Any:
    """OpenVINO, imported without its telemetry, which would send a report on import."""
    before = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as if not installed
    try:
        import openvino
    finally:
        del sys.modules["openvino_telemetry"]
        if before is not None:
            sys.modules["openvino_telemetry"] = before
    return openvino


def _key(core: Any, weights_sha256: str, precision: str) -> str:
    """A digest of everything the compiled graph depends on: weights, library, precision, CPU."""
    inputs = (
        weights_sha256,
        sys.modules["openvino"].__version__,
        precision,
        core.get_property("CPU", "FULL_DEVICE_NAME"),
        sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        sorted(cpu_features()),
        [os.environ.get(name) for name in _ISA_VARIABLES],
    )
    return hashlib.sha256(repr(inputs).encode()).hexdigest()


def _open_cached(
    core: Any, settings: dict[str, Any], cache: str, key: str
) -> tuple[Any, Card] | None:
    """The graph that an earlier start cached; None if there is none, or it cannot be used."""
    graph = load_graph(Path(cache), key)
    if graph is None:
        return None
    try:
        return core.import_model(graph.compiled, "CPU", settings), read_card(graph.card)
    except RuntimeError:  # undamaged, but this version cannot read it
        return None


def _compile(
    core: Any, weights: bytes, settings: dict[str, Any], into: tuple[str, str]
) -> tuple[Any, Card]:
    """Compile the graph; keep it under `into`, a folder and a key, if the folder has a name."""
    model, card_text, card = _read(core, weights)
    model.reshape([1, 1, card.side, card.side])
    compiled = core.compile_model(model, "CPU", settings)
    cache, key = into
    if cache:
        stream = BytesIO()
        compiled.export_model(stream)
        save_graph(Path(cache), key, CachedGraph(card=card_text, compiled=stream.getvalue()))
    return compiled, card


def _read(core: Any, weights: bytes) -> tuple[Any, str, Card]:
    """The graph, and its card as text and as `Card`; graph and card are checked to agree."""
    try:
        model = core.read_model(weights)
    except RuntimeError as error:
        reason = (str(error).splitlines() or [""])[-1]
        raise WeightsError(no_graph(weights, "OpenVINO", reason)) from error
    path = ["framework", CARD_KEY]
    card_text = str(model.get_rt_info(path).value) if model.has_rt_info(path) else None
    card = read_card(card_text)
    check_shapes({end.get_any_name(): _shape(end) for end in (*model.inputs, *model.outputs)}, card)
    return model, card_text or "", card


def _shape(end: Any) -> Shape:
    sizes = list(end.get_partial_shape())[1:]
    return [size.get_length() if size.is_static else None for size in sizes]
