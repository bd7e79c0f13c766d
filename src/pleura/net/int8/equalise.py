"""Equalising the channels of each tensor, so that all of them use the range of 8 bits.

In 8 bits a tensor has one scale, so a channel with small values uses few of the 256 steps. The
output of each channel is divided by a factor, and the weights that read the channel are multiplied
by the same factor. ReLU, pooling and concatenation keep the factor, so the network's results do not
change (Nagel et al. 2019, arXiv:1906.04721).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from pleura.net.int8.graph import SPATIAL_AXES, Graph, Values, values_of

__all__ = ["equalise"]

MIN_FACTOR = 1e-3
"""The smallest factor of a channel. Channels that are nearly zero are not scaled up further."""


@dataclass(frozen=True, slots=True)
class Use:
    """The use of a tensor by a convolution."""

    weights: str
    """The name of the convolution's weights."""

    first: int
    """The first input channel of the convolution that belongs to the tensor."""


def equalise(model: onnx.ModelProto, squares: Sequence[Values]) -> None:
    """Scale the channels between convolutions, in place; the results do not change.

    `model` is the result of `simplified`; `squares` are (1, S, S) float32 of training
    films. Afterwards all channels of a tensor have the same maximum on these films, except channels
    that are nearly zero.
    """
    graph = Graph(model)
    uses = _uses(graph)
    peaks: dict[str, Values] = {}
    for values in values_of(model, list(uses), squares):
        for tensor, channels in values.items():
            peak = np.abs(channels).max(axis=(0, *SPATIAL_AXES))
            peaks[tensor] = np.maximum(peaks.get(tensor, peak), peak)
    for tensor, users in uses.items():
        largest = peaks[tensor].max()
        if largest > 0:  # a tensor that is 0 on every film is left as it is
            factors = np.maximum(peaks[tensor] / largest, MIN_FACTOR)
            _scale(graph, tensor, users, factors)


def _uses(graph: Graph) -> dict[str, list[Use]]:
    """The uses of each tensor that only convolutions read, and that a convolution gives."""
    uses: dict[str, list[Use]] = {}
    unscalable: set[str] = set()
    for node in graph.convolutions:
        sources = list(graph.sources(node.input[0]))
        if any(graph.convolution_of(tensor) is None for tensor in sources):
            unscalable.update(sources)  # one of these tensors cannot be scaled
            continue
        first = 0
        for tensor in sources:
            uses.setdefault(tensor, []).append(Use(node.input[1], first))
            first += graph.channels(tensor)
    return {
        name: users
        for name, users in uses.items()
        if name not in unscalable and not graph.read_by_others(name)
    }


def _scale(graph: Graph, tensor: str, users: Sequence[Use], factors: Values) -> None:
    """Divide the channels of `tensor` by `factors`, and multiply the weights that read them."""
    convolution = graph.convolution_of(tensor)
    assert convolution is not None
    weights, bias = graph.read(convolution.input[1]), graph.bias(convolution)
    # A convolution before DepthToSpace has 4 output channels for each channel of the tensor.
    divisors = np.tile(factors, len(weights) // len(factors))
    graph.write(convolution.input[1], weights / divisors[:, None, None, None])
    graph.set_bias(convolution, bias / divisors)
    for use in users:
        kernel = graph.read(use.weights).copy()
        kernel[:, use.first : use.first + len(factors)] *= factors[:, None, None]
        graph.write(use.weights, kernel)
