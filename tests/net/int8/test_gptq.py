"""GPTQ: weights are whole steps, and results are nearer to fp32 than with the nearest steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pleura.net.int8.gptq import round_rows, round_weights
from pleura.net.int8.graph import Graph, values_of
from pleura.net.int8.quantise import simplified
from pleura.net.unetplusplus import Architecture

SMALL = Architecture(widths=(8, 16, 24), channels_out=2, fold=2)


def moments(inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The moments of (N, D) inputs and the bias's input 1."""
    seen = np.concatenate((inputs, np.ones((len(inputs), 1))), axis=1)
    second_moments: NDArray[np.float64] = seen.T @ seen / len(seen)
    return second_moments


def test_the_next_weight_compensates_for_an_equal_input() -> None:
    """Steps of 1/2. Rounded to the nearest, 0.35 twice would become 0.5 twice, 0.3 too much; here
    the second is told of the 0.15 too much, is 0.2 then, and becomes 0. The bias pays nothing:
    inputs are 0 on average."""
    signs = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, 1], [-1, -1, -1]])
    made = round_rows(np.array([[1.0, 0.35, 0.35, 0.0]]), moments(signs), steps=2)
    assert sorted(made[0, :3].tolist()) == [0.0, 0.5, 1.0]
    assert made[0, 0] == 1.0
    assert made[0, 3] == pytest.approx(0, abs=1e-9)


def test_the_bias_compensates_for_a_constant_input() -> None:
    """0.3 becomes 0.5, on an input that is always 1: the bias falls by 0.2."""
    inputs = np.array([[1.0, 1], [-1, 1]])
    made = round_rows(np.array([[1.0, 0.3, 0.7]]), moments(inputs), steps=2)
    np.testing.assert_allclose(made, [[1.0, 0.5, 0.5]], atol=0.01)  # damping believes in it less


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 30))
def test_rows_are_integer_steps_and_the_largest_weight_stays(
    seed: int, rows: int, size: int
) -> None:
    rng = np.random.default_rng(seed)
    given_rows = rng.normal(size=(rows, size + 1))
    made = round_rows(given_rows, moments(rng.normal(size=(4 * size, size))), steps=64)
    scale = np.abs(given_rows[:, :-1]).max(axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs(made[:, :-1]).max(axis=1, keepdims=True), scale)
    on_steps = made[:, :-1] / scale * 64
    np.testing.assert_allclose(on_steps, np.round(on_steps), atol=1e-9)


def test_results_are_nearer_than_with_the_nearest_steps() -> None:
    """With correlated inputs, as those of a convolution."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 40)) + 0.3
    rows = rng.normal(size=(16, 41))
    seen = np.concatenate((inputs, np.ones((2000, 1))), axis=1)
    step = np.abs(rows[:, :-1]).max(axis=1, keepdims=True) / 64
    nearest = np.concatenate((np.round(rows[:, :-1] / step) * step, rows[:, -1:]), axis=1)
    off = [
        float(np.sqrt(np.mean((seen @ (item - rows).T) ** 2)))
        for item in (round_rows(rows, moments(inputs), steps=64), nearest)
    ]
    assert off[0] < off[1] / 3


def test_a_row_of_zeros_stays_zero() -> None:
    assert not round_rows(np.zeros((2, 5)), np.eye(5), steps=64).any()


def test_inputs_that_are_0_on_every_film_are_rounded_to_the_nearest() -> None:
    nothing = np.diag([0.0, 0, 1])
    made = round_rows(np.array([[1.0, 0.3, 0.7]]), nothing, steps=2)
    np.testing.assert_allclose(made, [[1.0, 0.5, 0.7]])


def test_all_convolutions_except_the_named_ones_are_rounded(
    exported: Callable[[Architecture], bytes],
) -> None:
    weights = exported(SMALL)
    model, before = (simplified(onnx.load_from_string(weights)) for _ in range(2))
    films = list(np.random.default_rng(1).random((6, 1, 64, 64), dtype=np.float32))
    graph, old = Graph(model), Graph(before)
    kept = graph.convolutions[0].name
    round_weights(model, films, steps=64, keep=[kept])
    for node in graph.convolutions:
        now, then = graph.read(node.input[1]), old.read(node.input[1])
        if node.name == kept:
            np.testing.assert_array_equal(now, then)
            continue
        steps = now / np.abs(then).max(axis=(1, 2, 3), keepdims=True) * 64
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    end = before.graph.output[0].name
    answers = [next(values_of(item, [end], films[:1]))[end] for item in (before, model)]
    assert 0 < np.abs(answers[0] - answers[1]).max() < 0.05
