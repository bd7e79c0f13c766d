"""Bring the channels of each tensor to like size, so that all of them use the steps of 8 bits.

A tensor has one scale in 8 bits, so a channel that stays small has few of the 256 steps. Each is
divided by a number where it is made, and the weights that read it are multiplied by the same:
ReLU, pooling and concatenation let it pass, and the network's answers stay what they were
(Nagel et al. 2019, arXiv:1906.04721).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from pleura.net.int8.graph import SIDES, Graph, Values, values_of

__all__ = ["equalise"]

LEAST = 1e-3
"""Of the largest channel of a tensor: one that hardly lives is not blown up beyond this."""


@dataclass(frozen=True, slots=True)
class Use:
    """Where a convolution reads the channels of a tensor."""

    weights: str
    first: int
    """The first of its input channels that are the tensor's."""


def equalise(model: onnx.ModelProto, squares: Sequence[Values]) -> None:
    """Scale the channels between convolutions, in place; the answers stay the same.

    `model` is one of `without_transposed`, `squares` are (1, S, S) of training films. All channels
    of a tensor then reach equally far on them, but for those that hardly live.
    """
    graph = Graph(model)
    uses = _uses(graph)
    peaks: dict[str, Values] = {}
    for values in values_of(model, list(uses), squares):
        for tensor, each in values.items():
            peak = np.abs(each).max(axis=(0, *SIDES))
            peaks[tensor] = np.maximum(peaks.get(tensor, peak), peak)
    for tensor, users in uses.items():
        if largest := peaks[tensor].max():  # a tensor may be 0 on every film
            _scale(graph, tensor, users, np.maximum(peaks[tensor] / largest, LEAST))


def _uses(graph: Graph) -> dict[str, list[Use]]:
    """Who reads each tensor, of those between convolutions and nothing else."""
    found: dict[str, list[Use]] = {}
    kept: set[str] = set()
    for node in graph.convolutions:
        row = list(graph.sources(node.input[0]))
        if any(graph.convolution_of(each) is None for each in row):
            kept.update(row)  # read together with what cannot be scaled
            continue
        first = 0
        for each in row:
            found.setdefault(each, []).append(Use(node.input[1], first))
            first += graph.channels(each)
    return {
        name: each
        for name, each in found.items()
        if name not in kept and not graph.read_by_others(name)
    }


def _scale(graph: Graph, tensor: str, users: Sequence[Use], scale: Values) -> None:
    """Divide the channels of `tensor` where they are made, multiply where they are read."""
    convolution = graph.convolution_of(tensor)
    assert convolution is not None
    weights, bias = graph.read(convolution.input[1]), graph.bias(convolution)
    rows = np.tile(scale, len(weights) // len(scale))  # unfolded: (2a + b) C + c
    graph.write(convolution.input[1], weights / rows[:, None, None, None])
    graph.set_bias(convolution, bias / rows)
    for use in users:
        read = graph.read(use.weights).copy()
        read[:, use.first : use.first + len(scale)] *= scale[:, None, None]
        graph.write(use.weights, read)
