"""Equalised channels have the same maximum, and the results do not change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from pleura.net.int8.equalise import equalise
from pleura.net.int8.graph import SPATIAL_AXES, Graph, values_of
from pleura.net.int8.quantise import simplified
from pleura.net.unetplusplus import Architecture

KINDS = {
    "unet++": Architecture(widths=(8, 16, 24), channels_out=2, fold=2),
    "unet": Architecture(kind="unet", widths=(8, 16), channels_out=1, fold=1, batch_norm=False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_channels_have_equal_maxima_and_results_stay(
    kind: str,
    exported: Callable[[Architecture], bytes],
) -> None:
    shape = KINDS[kind]
    weights = exported(shape)
    model, before = (simplified(onnx.load_from_string(weights)) for _ in range(2))
    films = list(np.random.default_rng(1).random((3, 1, 64, 64), dtype=np.float32))
    equalise(model, films)
    end = model.graph.output[0].name
    for new, old in zip(
        values_of(model, [end], films), values_of(before, [end], films), strict=True
    ):
        assert np.ptp(old[end]) > 0.05, "a flat answer would agree with anything"
        np.testing.assert_allclose(new[end], old[end], atol=1e-5)
    inner = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
    assert len(inner) > 3
    peaks = [
        {name: np.abs(value).max(axis=(0, *SPATIAL_AXES)) for name, value in values.items()}
        for values in values_of(model, inner, films)
    ]
    for name in inner:
        peak = np.max([peaks_of_film[name] for peaks_of_film in peaks], axis=0)
        live = peak[peak > 0]
        assert live.min() > 0.99 * live.max() or live.size < 2, name


def test_the_sources_of_a_tensor_are_found(
    exported: Callable[[Architecture], bytes],
) -> None:
    """Every convolution except the first reads as many channels as its sources have."""
    shape = KINDS["unet++"]
    weights = exported(shape)
    graph = Graph(simplified(onnx.load_from_string(weights)))
    for node in graph.convolutions[1:]:
        row = list(graph.sources(node.input[0]))
        assert sum(map(graph.channels, row)) == graph.read(node.input[1]).shape[1]
