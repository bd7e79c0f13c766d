"""Round a network's weights to few steps so that its answers change least.

Rounding each weight to the nearest step minds the weight and not what it is multiplied with. Here
the weights of a convolution are rounded one after the other, and those that are left make good,
on what the films bring to it, for the error so far; last of all the bias, which is not rounded
(Frantar et al. 2022, GPTQ, arXiv:2210.17323).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from pleura.net.int8.graph import SIDES, Graph, Values, values_of

__all__ = ["round_rows", "round_weights"]

# Why our own: the packages with GPTQ round the matrix products of language models, no convolutions.

PLACES = 256
"""Of each film, at which a convolution's input is looked at."""

DAMPING = 0.01
"""Added to each input's mean square, of all their mean: what is seldom seen is not believed."""

LEAST = 1e-9
"""Added at least, where inputs are 0 on every film."""


def round_weights(
    model: onnx.ModelProto, squares: Sequence[Values], *, steps: int, keep: Collection[str]
) -> None:
    """Round, in place, to whole multiples of each output channel's largest weight / `steps`.

    Every convolution is taken to have a stride of 1 and to keep the size of what it reads, as all
    of ours do; those named in `keep` stay as they are. `squares` are (1, S, S) of training films.
    """
    graph = Graph(model)
    rounded = [node for node in graph.convolutions if node.name not in keep]
    moments = _moments(graph, rounded, squares)
    for node in rounded:
        weights, bias = graph.read(node.input[1]), graph.bias(node)
        rows = np.concatenate((weights.reshape(len(weights), -1), bias[:, None]), axis=1)
        made = round_rows(rows, moments[node.name], steps=steps)
        graph.write(node.input[1], made[:, :-1].reshape(weights.shape))
        graph.set_bias(node, made[:, -1])


def round_rows(
    rows: NDArray[np.floating], moments: NDArray[np.float64], *, steps: int
) -> NDArray[np.float64]:
    """(O, D + 1) weights with the bias last -> the same, all but the bias rounded.

    `moments` (D + 1, D + 1) is the mean product of any two inputs, the bias's being 1. The largest
    weight of a row stays, for it sets the row's scale.
    """
    size, every = rows.shape[1] - 1, np.arange(len(rows))
    power = np.diag(moments)[:-1]
    added = np.full(size, max(DAMPING * power.mean(), LEAST))
    damped = moments + np.diag(np.append(added, 0.0))
    order = np.append(np.argsort(-power, kind="stable"), size)  # what counts most comes first
    spread = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    made = rows[:, order].astype(np.float64)
    top = np.abs(made[:, :-1]).argmax(axis=1)
    largest = made[every, top].copy()
    step = np.maximum(np.abs(largest) / steps, np.finfo(np.float32).tiny)
    for place in range(size):
        wanted = made[:, place].copy()
        nearest = np.clip(np.round(wanted / step), -steps, steps) * step
        made[:, place] = np.where(top == place, largest, nearest)
        error = (wanted - made[:, place]) / spread[place, place]
        made[:, place + 1 :] -= np.outer(error, spread[place, place + 1 :])
    back = np.empty_like(made)
    back[:, order] = made
    return back


def _moments(
    graph: Graph, nodes: Sequence[onnx.NodeProto], squares: Sequence[Values]
) -> dict[str, NDArray[np.float64]]:
    """By node, the mean over places of films of the products of what it multiplies."""
    rng = np.random.default_rng(0)
    sums: dict[str, NDArray[np.float64]] = {}
    for values in values_of(graph.model, [node.input[0] for node in nodes], squares):
        for node in nodes:
            kernel = graph.read(node.input[1]).shape[SIDES[0]]
            seen = _patches(values[node.input[0]][0], kernel, rng)
            sums[node.name] = sums.get(node.name, 0) + (seen.T @ seen).astype(np.float64)
    return {name: each / (len(squares) * PLACES) for name, each in sums.items()}


def _patches(values: Values, kernel: int, rng: np.random.Generator) -> Values:
    """(C, H, W) -> (PLACES, C * kernel * kernel + 1) what a kernel reads here and there, then 1."""
    channels, height, width = values.shape
    margin = kernel // 2
    padded = np.pad(values, ((0, 0), (margin, margin), (margin, margin)))
    rows, columns = rng.integers(0, height, PLACES), rng.integers(0, width, PLACES)
    offsets = np.arange(kernel)
    read = padded[
        :, rows[:, None, None] + offsets[:, None], columns[:, None, None] + offsets
    ]  # (C, PLACES, kernel, kernel)
    flat = read.transpose(1, 0, 2, 3).reshape(PLACES, channels * kernel * kernel)
    return np.concatenate((flat, np.ones((PLACES, 1), np.float32)), axis=1)
