"""The int8 graph gives nearly the results of the fp32 graph, in both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from pleura.core.card import Card
from pleura.core.errors import WeightsError
from pleura.net.int8.quantise import quantise, simplified
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.openvino_engine import OpenVinoEngine

SMALL = Architecture(widths=(8, 16, 24), channels_out=2, fold=2)

MakeCard = Callable[..., Card]
TrainedLike = Callable[[Architecture], UNetPlusPlus | UNet]


def squares(count: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 1, 64, 64), dtype=np.float32)


@pytest.fixture
def fp32(exported: Callable[[Architecture], bytes]) -> bytes:
    return exported(SMALL)


def test_replaced_transposed_convolutions_give_the_same_sums(fp32: bytes) -> None:
    unfolded = simplified(onnx.load_from_string(fp32)).SerializeToString()
    assert "ConvTranspose" not in {n.op_type for n in onnx.load_from_string(unfolded).graph.node}
    batch = squares(3, 1)
    before, after = (OnnxEngine(item, threads=1).predict(batch) for item in (fp32, unfolded))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


@pytest.mark.parametrize("engine", [OnnxEngine, OpenVinoEngine])
def test_int8_is_near_fp32_on_films_it_was_not_calibrated_on(
    fp32: bytes, engine: type[OnnxEngine] | type[OpenVinoEngine]
) -> None:
    made = quantise(fp32, list(squares(8, 2)))
    batch = squares(4, 3)
    exact, given = (
        OnnxEngine(fp32, threads=1).predict(batch),
        engine(made, threads=1).predict(batch),
    )
    assert np.ptp(exact) > 0.2, "a flat answer would agree with anything"
    off = np.abs(given - exact)
    assert 0 < off.mean() < 0.02, "equal: nothing was quantised"


def test_both_ends_of_the_network_stay_in_fp32(fp32: bytes) -> None:
    """The first two and the last two convolutions have floats; the others 8-bit weights."""
    graph = onnx.load_from_string(quantise(fp32, list(squares(2, 2)))).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    plain = [node for node in convolutions if kinds.get(node.input[1]) == onnx.TensorProto.FLOAT]
    assert plain == [*convolutions[:2], *convolutions[-2:]]
    # 6 nodes of 2 convolutions, 3 that lift, 1 head
    assert len(convolutions) == 12 + 3 + 1


def test_two_products_fit_into_16_bits(fp32: bytes) -> None:
    """A CPU without VNNI adds two products in 16 bits: 2 x 255 x 64 < 2 ** 15 < 2 x 255 x 65."""
    graph = onnx.load_from_string(quantise(fp32, list(squares(2, 2)))).graph
    kernels = [
        np.abs(onnx.numpy_helper.to_array(tensor).astype(int)).max()
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(kernels) == 12 + 3 + 1 - 4
    assert max(kernels) == 64


def test_the_card_is_copied(fp32: bytes) -> None:
    made = OnnxEngine(quantise(fp32, list(squares(2, 2))), threads=1)
    assert made.card == OnnxEngine(fp32, threads=1).card


def test_graphs_that_cannot_be_quantised(
    fp32: bytes, dark_weights: Callable[..., bytes], make_card: MakeCard
) -> None:
    twice = quantise(fp32, list(squares(2, 2)))
    card = replace(make_card(SMALL), channels=("field",))
    for weights in (twice, dark_weights(card.to_json())):
        with pytest.raises(WeightsError, match="only an fp32 graph with convolutions"):
            quantise(weights, [])
