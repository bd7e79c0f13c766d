"""The exported graph gives the same results as torch, for any number of films."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from pleura.core.card import Card
from pleura.net.export import to_onnx
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus
from pleura.runtime.engine import OnnxEngine

SMALL = Architecture(widths=(4, 6, 8), channels_out=2)
VGG = Architecture(widths=(64, 128), channels_out=1, encoder="vgg13_bn")

MakeCard = Callable[..., Card]
TrainedLike = Callable[[Architecture], UNetPlusPlus | UNet]


def squares(count: int, side: int = 64) -> NDArray[np.float32]:
    return np.random.default_rng(count).random((count, 1, side, side), dtype=np.float32)


def torchs_answer(network: UNetPlusPlus | UNet, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        return torch.sigmoid(network(torch.from_numpy(batch))[-1]).numpy()


def weights_in(graph: bytes) -> list[int]:
    return [int(np.prod(tensor.dims)) for tensor in onnx.load_from_string(graph).graph.initializer]


def assert_holds_no_other_head(graph: bytes) -> None:
    """SMALL has six nodes of two convolutions, one exported head, and three upsamplings."""
    model = onnx.load_from_string(graph).graph
    kinds = [node.op_type for node in model.node]
    assert kinds.count("Conv") == 2 * 6 + 1
    assert kinds.count("ConvTranspose") == 3
    assert not [tensor.name for tensor in model.initializer if "head.1" in tensor.name]


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        replace(SMALL, kind="unet"),
        replace(SMALL, batch_norm=False, deep_supervision=False),
        replace(SMALL, fold=2),
        VGG,
    ],
    ids=["unet++", "unet", "bare", "folded", "vgg"],
)
def test_engine_and_torch_agree_for_any_number_of_films(
    make_card: MakeCard,
    trained_like: TrainedLike,
    exported: Callable[[Architecture], bytes],
    architecture: Architecture,
) -> None:
    network, card = trained_like(architecture), make_card(architecture)
    engine = OnnxEngine(exported(architecture), threads=1)
    assert engine.card == card
    for count in (1, 2, 5):
        batch = squares(count)
        expected, given = torchs_answer(network, batch), engine.predict(batch)
        assert given.shape == (count, architecture.channels_out, 64, 64)
        assert np.ptp(expected) > 0.1, "a flat answer would agree with anything"
        np.testing.assert_allclose(given, expected, rtol=0, atol=1e-5)


def test_a_pruned_network_is_exported_with_a_card_that_describes_it(
    make_card: MakeCard, trained_like: TrainedLike
) -> None:
    whole = trained_like(SMALL)
    assert isinstance(whole, UNetPlusPlus)
    smaller = whole.pruned(1)
    given = to_onnx(smaller, make_card(smaller.architecture))
    engine = OnnxEngine(given, threads=1)
    assert Architecture(**engine.card.architecture) == smaller.architecture
    assert sum(weights_in(given)) < sum(p.numel() for p in whole.parameters()) / 2
    batch = squares(2)
    with torch.no_grad():
        expected = torch.sigmoid(whole(torch.from_numpy(batch))[0]).numpy()
    np.testing.assert_allclose(engine.predict(batch), expected, rtol=0, atol=1e-5)


def test_exporting_changes_neither_the_network_nor_the_log(
    make_card: MakeCard, trained_like: TrainedLike, capfd: pytest.CaptureFixture[str]
) -> None:
    network = trained_like(SMALL).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    levels = {name: logging.getLogger(name).level for name in ("torch.onnx", "onnxscript")}
    given = to_onnx(network, make_card(SMALL))
    assert network.training
    assert_holds_no_other_head(given)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert levels == {name: logging.getLogger(name).level for name in levels}
    assert capfd.readouterr() == ("", "")
    assert b"stack_trace" not in given, "the exporter's notes name files of this machine"
    assert str(Path(__file__).parents[2]).encode() not in given
    # What is exported is the evaluating network: running statistics, not the batch's.
    answer = OnnxEngine(given, threads=1).predict(squares(1))
    np.testing.assert_allclose(answer, torchs_answer(network.eval(), squares(1)), rtol=0, atol=1e-5)
