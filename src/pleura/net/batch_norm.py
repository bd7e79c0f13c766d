"""Batch normalisation in an ONNX graph: separated for training, folded for quantisation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

__all__ = ["PREFIX", "fold", "separate"]

PREFIX = "network."
"""Before the name of each tensor in the graph, for it belongs to the part `network`."""

STATISTICS = ("weight", "bias", "running_mean", "running_var")
"""The tensors of batch normalisation, in the order of the operator's inputs."""


def separate(model: onnx.ModelProto, network: nn.Module) -> None:
    """Give the convolutions of `model` their own weights, and a node of normalisation each.

    The exporter folds the normalisation of `network` into the convolutions, which cannot be undone
    exactly. The engines fold it again when they load the graph. The model is changed in place.
    """
    graph = model.graph
    nodes = {name: node for node in graph.node for name in node.input[1:2]}
    for name, convolution, norm_name, norm in _normalised(network):
        node = nodes.get(f"{PREFIX}{name}.weight")
        if node is None:  # its weights equal those of another; its normalisation stays folded
            continue
        del node.input[1:]
        for key, values in convolution.state_dict().items():
            node.input.append(_add(graph, f"{PREFIX}{name}.{key}", values.numpy()))
        _insert_norm(graph, node, PREFIX + norm_name, norm)
    read = {name for node in graph.node for name in node.input}
    for constant in [constant for constant in graph.initializer if constant.name not in read]:
        graph.initializer.remove(constant)


def _normalised(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d, str, nn.BatchNorm2d]]:
    """Each convolution with the normalisation after it, and the names of both."""
    for name, part in network.named_modules():
        if isinstance(part, nn.Sequential):
            layers = [(f"{name}.{key}", layer) for key, layer in part.named_children()]
            for (first, before), (second, after) in itertools.pairwise(layers):
                if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                    yield first, before, second, after


def _insert_norm(
    graph: onnx.GraphProto, node: onnx.NodeProto, name: str, norm: nn.BatchNorm2d
) -> None:
    """Add the normalisation `norm` after the convolution `node`, with tensors named NAME.*."""
    state = norm.state_dict()
    inputs = [_add(graph, f"{name}.{key}", state[key].numpy()) for key in STATISTICS]
    result, plain = node.output[0], f"{node.output[0]}_plain"
    node.output[0] = plain
    added = helper.make_node(
        "BatchNormalization",
        [plain, *inputs],
        [result],
        name=f"{node.name}_norm",
        epsilon=norm.eps,
    )
    graph.node.insert(list(graph.node).index(node) + 1, added)


def _add(graph: onnx.GraphProto, name: str, values: NDArray[np.floating]) -> str:
    """Add a tensor, or replace the one that no node reads any more; returns its name.

    The exporter gives equal tensors one name. A tensor that others read keeps its name and values.
    """
    if any(name in node.input for node in graph.node):
        name = f"{name}_own"
    for old in [constant for constant in graph.initializer if constant.name == name]:
        graph.initializer.remove(old)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def fold(model: onnx.ModelProto) -> None:
    """Fold each normalisation of `model` into the convolution before it, in place.

    The results are the same to rounding.
    """
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        node = made_by[norm.input[0]]
        gamma, beta, mean, variance = (
            numpy_helper.to_array(constants[name]) for name in norm.input[1:]
        )
        epsilon = next(helper.get_attribute_value(a) for a in norm.attribute if a.name == "epsilon")
        factor = gamma / np.sqrt(variance + epsilon)
        if len(node.input) == 2:
            node.input.append(f"{node.input[1]}_bias")
            constants[node.input[2]] = graph.initializer.add()
            _set(constants[node.input[2]], np.zeros_like(mean), name=node.input[2])
        kernel, bias = (constants[name] for name in node.input[1:])
        _set(kernel, numpy_helper.to_array(kernel) * factor.reshape(-1, 1, 1, 1))
        _set(bias, (numpy_helper.to_array(bias) - mean) * factor + beta)
        node.output[0] = norm.output[0]
        graph.node.remove(norm)
        for name in norm.input[1:]:
            graph.initializer.remove(constants[name])


def _set(
    constant: onnx.TensorProto, values: NDArray[np.floating], *, name: str | None = None
) -> None:
    contiguous = np.ascontiguousarray(values, dtype=np.float32)
    constant.CopyFrom(numpy_helper.from_array(contiguous, name or constant.name))
