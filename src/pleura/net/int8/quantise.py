"""Quantising an fp32 ONNX graph to int8, calibrated on films.

The quantisation is static, with quantise and dequantise nodes (QDQ), which ONNX Runtime and
OpenVINO both read. Weights are symmetric, have one scale for each channel, and use 7 of the 8 bits:
a CPU without VNNI adds two products in 16 bits, and 8-bit weights would overflow. Activations use 8
bits for their complete range on the films: clipping the last 0.001 % makes the masks of films with
bright objects worse.

The scaling of the film, the first two convolutions, the last two and the sigmoid stay in fp32,
because errors there have the largest effect. For the layers between, the channels are first
equalised (`net.int8.equalise`), and the weights are rounded by their inputs (`net.int8.gptq`).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pleura.core.errors import WeightsError
from pleura.net.batch_norm import fold
from pleura.net.graph_state import STATE_KEY
from pleura.net.int8.equalise import equalise
from pleura.net.int8.gptq import round_weights
from pleura.net.quiet import quiet

__all__ = ["quantise", "simplified"]

COMPUTED = ("Conv", "Concat", "MaxPool", "Relu", "DepthToSpace")
"""The operators that are computed in 8 bits."""

STEPS = 64
"""The steps of a weight on each side of 0, in 7 bits."""

FP32_CONVOLUTIONS = 2
"""The number of convolutions at each end of the network that stay in fp32."""


def quantise(weights: bytes, squares: Iterable[NDArray[np.float32]]) -> bytes:
    """Quantise an fp32 ONNX file to int8; `squares` are (1, S, S) float32 of training films.

    The metadata, with the card, is copied, but not the tensors that only training needs.

    Raises:
        WeightsError: the graph has no convolutions, or is quantised already.
    """
    films = list(squares)
    model = simplified(onnx.load_from_string(weights))
    kinds = [node.op_type for node in model.graph.node]
    if "QuantizeLinear" in kinds or "Conv" not in kinds:
        raise WeightsError(
            "only an fp32 graph with convolutions can be quantised; take a file that "
            "`pleura export` wrote"
        )
    keep = _nodes_in_fp32(model)
    equalise(model, films)
    round_weights(model, films, steps=STEPS, keep=keep)
    with tempfile.TemporaryDirectory(prefix="pleura-") as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        _quantise_file(source, target, films, keep=keep)
        quantised = onnx.load(target)
    metadata = {entry.key: entry.value for entry in model.metadata_props if entry.key != STATE_KEY}
    helper.set_model_props(quantised, metadata)
    data: bytes = quantised.SerializeToString()
    return data


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model of plain convolutions alone, changed in place.

    Batch normalisation is folded, and 2 x 2 transposed convolutions of stride 2 become 1 x 1 ones
    and DepthToSpace. The results are the same. Engines compute 1 x 1 convolutions in 8 bits, but
    not transposed ones.
    """
    fold(model)
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        nodes += _unfolded(node, constants) if node.op_type == "ConvTranspose" else [node]
    del graph.value_info[:]  # the old shapes
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model


def _unfolded(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> tuple[onnx.NodeProto, onnx.NodeProto]:
    """out[c, 2y+a, 2x+b] = sum over i of w[i, c, a, b] in[i, y, x], as depth (2a+b)C + c."""
    name, bias = node.input[1], node.input[2]
    kernel = numpy_helper.to_array(constants[name])  # (in, out, 2, 2)
    if kernel.shape[2:] != (2, 2):
        raise WeightsError(
            f"{node.name}: only transposed convolutions of 2 x 2 can be quantised, "
            f"this one is {kernel.shape[2]} x {kernel.shape[3]}"
        )
    flat = kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0], 1, 1)
    offsets = np.tile(numpy_helper.to_array(constants[bias]), 4)
    for key, values in ((name, flat), (bias, offsets)):
        constants[key].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), key))
    deep = f"{node.output[0]}_deep"
    conv = helper.make_node(
        "Conv", list(node.input), [deep], name=f"{node.name}_deep", kernel_shape=[1, 1]
    )
    unfold = helper.make_node(
        "DepthToSpace", [deep], list(node.output), name=node.name, blocksize=2, mode="DCR"
    )
    return conv, unfold


def _nodes_in_fp32(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes that stay in fp32: both ends of the network, and other operators."""
    nodes = list(model.graph.node)
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    first, last = convolutions[FP32_CONVOLUTIONS - 1], convolutions[-FP32_CONVOLUTIONS]
    return [
        node.name
        for index, node in enumerate(nodes)
        if index <= first or index >= last or node.op_type not in COMPUTED
    ]


def _quantise_file(
    source: Path, target: Path, squares: Iterable[NDArray[np.float32]], *, keep: list[str]
) -> None:
    from onnxruntime import quantization

    class Films(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.films: Iterator[NDArray[np.float32]] = iter(squares)

        def get_next(self) -> dict[str, Any] | None:
            film = next(self.films, None)
            return None if film is None else {"image": film[None]}

    # The library logs advice on the root logger, which is followed here already.
    with quiet("", below=logging.ERROR):
        quantization.quantize_static(
            source,
            target,
            Films(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(COMPUTED),
            nodes_to_exclude=keep,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.MinMax,
        )
