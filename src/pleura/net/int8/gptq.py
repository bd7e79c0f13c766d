"""GPTQ: rounding weights to few steps so that the results change as little as possible.

Rounding to the nearest step ignores the inputs of the weights. Here the weights of a convolution
are rounded one by one, and the remaining weights compensate for the error on the inputs from
training films. At the end the bias, which is not rounded, compensates for the rest (Frantar et al.
2022, arXiv:2210.17323).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from pleura.net.int8.graph import SPATIAL_AXES, Graph, Values, values_of

__all__ = ["round_rows", "round_weights"]

# No package is used, because those with GPTQ support only the linear layers of language models.

POSITIONS = 256
"""The number of positions of each film at which the input of a convolution is sampled."""

DAMPING = 0.01
"""The number that is added to the mean square of each input, as a share of the mean over all
inputs. It prevents overfitting to the training films."""

MIN_DAMPING = 1e-9
"""The smallest number that is added, for inputs that are 0 on every film."""


def round_weights(
    model: onnx.ModelProto, squares: Sequence[Values], *, steps: int, keep: Collection[str]
) -> None:
    """Round the weights of each output channel, in place, to multiples of its step.

    The step is the channel's largest absolute weight / `steps`.

    Every convolution must have a stride of 1 and keep the size of its input, as in the networks of
    this package. Convolutions named in `keep` are not rounded. `squares` are (1, S, S) of training
    films.
    """
    graph = Graph(model)
    rounded = [node for node in graph.convolutions if node.name not in keep]
    moments = _moments(graph, rounded, squares)
    for node in rounded:
        weights, bias = graph.read(node.input[1]), graph.bias(node)
        rows = np.concatenate((weights.reshape(len(weights), -1), bias[:, None]), axis=1)
        new_rows = round_rows(rows, moments[node.name], steps=steps)
        graph.write(node.input[1], new_rows[:, :-1].reshape(weights.shape))
        graph.set_bias(node, new_rows[:, -1])


def round_rows(
    rows: NDArray[np.floating], moments: NDArray[np.float64], *, steps: int
) -> NDArray[np.float64]:
    """Round rows (O, D + 1) of weights with the bias last; the bias is adapted, not rounded.

    `moments` (D + 1, D + 1) are the mean products of two inputs; the input of the bias is 1. The
    largest weight of a row does not change, because it determines the row's scale.
    """
    size, all_rows = rows.shape[1] - 1, np.arange(len(rows))
    power = np.diag(moments)[:-1]
    added = np.full(size, max(DAMPING * power.mean(), MIN_DAMPING))
    damped = moments + np.diag(np.append(added, 0.0))
    # The inputs with the largest mean square are first, and the bias is last.
    order = np.append(np.argsort(-power, kind="stable"), size)
    factor = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    rounded = rows[:, order].astype(np.float64)
    top = np.abs(rounded[:, :-1]).argmax(axis=1)
    largest = rounded[all_rows, top].copy()
    step = np.maximum(np.abs(largest) / steps, np.finfo(np.float32).tiny)
    for index in range(size):
        exact = rounded[:, index].copy()
        nearest = np.clip(np.round(exact / step), -steps, steps) * step
        rounded[:, index] = np.where(top == index, largest, nearest)
        error = (exact - rounded[:, index]) / factor[index, index]
        rounded[:, index + 1 :] -= np.outer(error, factor[index, index + 1 :])
    in_order = np.empty_like(rounded)
    in_order[:, order] = rounded
    return in_order


def _moments(
    graph: Graph, nodes: Sequence[onnx.NodeProto], squares: Sequence[Values]
) -> dict[str, NDArray[np.float64]]:
    """The mean products of the inputs of each node, over positions and films."""
    rng = np.random.default_rng(0)
    sums: dict[str, NDArray[np.float64]] = {}
    for values in values_of(graph.model, [node.input[0] for node in nodes], squares):
        for node in nodes:
            kernel = graph.read(node.input[1]).shape[SPATIAL_AXES[0]]
            inputs = _patches(values[node.input[0]][0], kernel, rng)
            sums[node.name] = sums.get(node.name, 0) + (inputs.T @ inputs).astype(np.float64)
    return {name: total / (len(squares) * POSITIONS) for name, total in sums.items()}


def _patches(values: Values, kernel: int, rng: np.random.Generator) -> Values:
    """Inputs of a kernel at random positions: (C, H, W) -> (N, C * kernel * kernel + 1).

    N is `POSITIONS`. The last column is 1, the input of the bias.
    """
    channels, height, width = values.shape
    margin = kernel // 2
    padded = np.pad(values, ((0, 0), (margin, margin), (margin, margin)))
    rows, columns = rng.integers(0, height, POSITIONS), rng.integers(0, width, POSITIONS)
    offsets = np.arange(kernel)
    patches = padded[
        :, rows[:, None, None] + offsets[:, None], columns[:, None, None] + offsets
    ]  # (C, POSITIONS, kernel, kernel)
    flat = patches.transpose(1, 0, 2, 3).reshape(POSITIONS, channels * kernel * kernel)
    return np.concatenate((flat, np.ones((POSITIONS, 1), np.float32)), axis=1)
