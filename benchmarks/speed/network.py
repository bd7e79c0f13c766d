"""The network alone, on one film of 512 px: engines, MONAI's network, the machine's peak."""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper

from benchmarks.speed.measure import interleaved
from pleura.net.checkpoint import read_network
from pleura.runtime.open import Choice, open_weights, shipped

SIDE_MM, CHANNELS, SIDE, DEPTH = 1024, 128, 64, 8
"""Of the matrices and of the convolutions that measure the peak."""


def network(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    threads = options.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    calls = {**_ours(threads), **({} if options.no_monai else _monai(threads, folder))}
    times = interleaved(calls, rounds=options.rounds)
    peaks = _peaks(threads)
    work = _multiplications(shipped())
    table = {
        name: {"min_ms": 1e3 * min(time), "p50_ms": 1e3 * statistics.median(time)}
        for name, time in times.items()
    }
    return {
        "giga_multiply_adds": work / 1e9,
        "peak_giga_multiply_adds_a_second": peaks,
        "table": table,
    }


def _ours(threads: int) -> dict[str, Callable[[], object]]:
    eager, card = read_network(shipped())
    choices = {
        f"{engine} {precision}{' --fast' if fast else ''}": Choice(
            engine=engine, precision=precision, fast=fast, threads=threads
        )
        for engine, precisions in (
            ("onnxruntime", ("fp32", "int8")),
            ("openvino", ("fp32", *(["bf16"] if _has_bf16() else []), "int8")),
        )
        for precision in precisions
        for fast in (False, True)
    }
    engines = {name: open_weights(choice=choice) for name, choice in choices.items()}
    return {
        "eager torch": _eager(eager, _square(card.side)),
        **{
            name: partial(engine.predict, _square(engine.card.side))
            for name, engine in engines.items()
        },
    }


def _has_bf16() -> bool:
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _square(side: int) -> np.ndarray:
    return np.random.default_rng(0).random((1, 1, side, side), dtype=np.float32)


def _eager(module: torch.nn.Module, square: np.ndarray) -> Callable[[], object]:
    film = torch.from_numpy(square)

    def call() -> object:
        with torch.inference_mode():
            return torch.sigmoid(module(film)[-1])

    return call


def _monai(threads: int, folder: Path) -> dict[str, Callable[[], object]]:
    """MONAI's BasicUNetPlusPlus with its default widths, untrained: time does not need training."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.networks.nets import BasicUNetPlusPlus

        module = BasicUNetPlusPlus(spatial_dims=2, in_channels=1, out_channels=1).eval()
        square = _square(512)
        path = folder / "monai.onnx"
        torch.onnx.export(
            module, (torch.from_numpy(square),), path, input_names=["image"], verbose=False
        )
    session = onnxruntime.InferenceSession(path, _settings(threads))
    return {
        "MONAI BasicUNetPlusPlus, eager torch": _eager(module, square),
        "MONAI BasicUNetPlusPlus, onnxruntime fp32": lambda: session.run(None, {"image": square}),
    }


def _settings(threads: int) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    return settings


def _peaks(threads: int) -> dict[str, float]:
    """The most multiply-adds a second seen here, of large products that fit these engines best."""
    a, b = torch.rand(SIDE_MM, SIDE_MM), torch.rand(SIDE_MM, SIDE_MM)
    film = np.random.default_rng(0).random((1, CHANNELS, SIDE, SIDE), dtype=np.float32)
    calls: dict[str, Callable[[], object]] = {"matrix product fp32": lambda: torch.mm(a, b)}
    work = {"matrix product fp32": SIDE_MM**3}
    for kind in ("fp32", *(["bf16"] if _has_bf16() else []), "int8"):
        name, graph = f"convolutions {kind}", _convolutions(int8=kind == "int8")
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if kind == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        core = openvino.Core()
        model = core.compile_model(core.read_model(graph), "CPU", settings)
        calls[name] = partial(model.create_infer_request().infer, {"x": film})
        work[name] = DEPTH * CHANNELS**2 * 9 * SIDE**2
    times = interleaved(calls, rounds=25)
    return {name: work[name] / min(time) / 1e9 for name, time in times.items()}


def _convolutions(*, int8: bool) -> bytes:
    """DEPTH 3 x 3 convolutions of CHANNELS to CHANNELS, one after the other: what both engines'
    libraries are best at. With `int8` they are quantised as the shipped graphs are."""
    rng = np.random.default_rng(0)
    given = {"one": np.float32(0.01), "u": np.uint8(0), "i": np.int8(0)}
    nodes, x = [], "x"
    for k in range(DEPTH):
        kernel = rng.integers(-64, 64, (CHANNELS, CHANNELS, 3, 3))
        w = f"w{k}"
        if int8:
            given[w] = kernel.astype(np.int8)
            nodes += [
                helper.make_node("QuantizeLinear", [x, "one", "u"], [f"q{k}"]),
                helper.make_node("DequantizeLinear", [f"q{k}", "one", "u"], [f"d{k}"]),
                helper.make_node("DequantizeLinear", [w, "one", "i"], [f"{w}d"]),
            ]
            x, w = f"d{k}", f"{w}d"
        else:
            given[w] = (kernel / 1000).astype(np.float32)
        nodes.append(helper.make_node("Conv", [x, w], [f"c{k}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"r{k}"]))
        x = f"r{k}"
    shape, type_ = [1, CHANNELS, SIDE, SIDE], TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("x", type_, shape)],
        [helper.make_tensor_value_info(x, type_, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in given.items()],
    )
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


def _multiplications(weights: bytes) -> int:
    """Of one film, in the convolutions, the transposed ones included."""
    model = onnx.load(BytesIO(weights))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model = onnx.shape_inference.infer_shapes(model)
    kernels = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    }
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            at = node.output[0] if node.op_type == "Conv" else node.input[0]
            total += int(np.prod(kernels[node.input[1]]) * np.prod(shapes[at][2:]))
    return total
