"""Equalising the channels of each tensor, so that all of them use the range of 8 bits.

A tensor has one scale in 8 bits, so a channel with small values uses few of the 256 steps. The
output of each channel is divided by a number, and the weights that read it are multiplied by the
same number. ReLU, pooling and concatenation pass it on, so the network's results do not change
(Nagel et al. 2019, arXiv:1906.04721).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from pleura.net.int8.graph import SPATIAL_AXES, Graph, Values, values_of

__all__ = ["equalise"]

LEAST = 1e-3
"""The smallest scale, as a share of the largest channel: channels near zero are not scaled more."""


@dataclass(frozen=True, slots=True)
class Use:
    """A convolution that reads the channels of a tensor."""

    weights: str
    first: int
    """The first of its input channels that belongs to the tensor."""


def equalise(model: onnx.ModelProto, squares: Sequence[Values]) -> None:
    """Scale the channels between convolutions, in place; the results do not change.

    `model` is the result of `without_transposed`, `squares` are (1, S, S) float32 of training
    films. On these, all channels of a tensor then have the same maximum, except channels near zero.
    """
    graph = Graph(model)
    uses = _uses(graph)
    peaks: dict[str, Values] = {}
    for values in values_of(model, list(uses), squares):
        for tensor, channels in values.items():
            peak = np.abs(channels).max(axis=(0, *SPATIAL_AXES))
            peaks[tensor] = np.maximum(peaks.get(tensor, peak), peak)
    for tensor, users in uses.items():
        if largest := peaks[tensor].max():  # a tensor can be 0 on every film
            _scale(graph, tensor, users, np.maximum(peaks[tensor] / largest, LEAST))


def _uses(graph: Graph) -> dict[str, list[Use]]:
    """The uses of each tensor between convolutions that have no other reader."""
    uses: dict[str, list[Use]] = {}
    unscalable: set[str] = set()
    for node in graph.convolutions:
        sources = list(graph.sources(node.input[0]))
        if any(graph.convolution_of(tensor) is None for tensor in sources):
            unscalable.update(sources)  # read together with a tensor that cannot be scaled
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


def _scale(graph: Graph, tensor: str, users: Sequence[Use], scale: Values) -> None:
    """Divide the channels of `tensor` in its convolution, and multiply the weights that read it."""
    convolution = graph.convolution_of(tensor)
    assert convolution is not None
    weights, bias = graph.read(convolution.input[1]), graph.bias(convolution)
    rows = np.tile(scale, len(weights) // len(scale))  # folded: channels repeat
    graph.write(convolution.input[1], weights / rows[:, None, None, None])
    graph.set_bias(convolution, bias / rows)
    for use in users:
        kernel = graph.read(use.weights).copy()
        kernel[:, use.first : use.first + len(scale)] *= scale[:, None, None]
        graph.write(use.weights, kernel)
