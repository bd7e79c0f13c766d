"""Networks in ONNX files: written and read back, and refused if they do not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import nn

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import WeightsError
from pleura.net.batch_norm import fold
from pleura.net.checkpoint import read_network, transfer
from pleura.net.export import to_onnx, with_card, with_temperature
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build
from pleura.runtime.engine import OnnxEngine
from pleura.runtime.open import shipped, shipped_name

SMALL = Architecture(widths=(4, 6, 8), channels_out=2)
VGG = Architecture(widths=(64, 128), channels_out=1, encoder="vgg13_bn")

MakeCard = Callable[..., Card]
TrainedLike = Callable[[Architecture], UNetPlusPlus | UNet]
Exported = Callable[[Architecture], bytes]


def assert_same_tensors(one: nn.Module, other: nn.Module) -> None:
    """Bit for bit, and of the same types."""
    state, expected = one.state_dict(), other.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == value.dtype, name
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        replace(SMALL, kind="unet"),
        replace(SMALL, batch_norm=False, deep_supervision=False),
        replace(SMALL, fold=2, smooth=2),
        VGG,
    ],
    ids=["unet++", "unet", "bare", "smoothed", "vgg"],
)
def test_a_network_is_the_same_after_a_round_trip(
    tmp_path: Path,
    make_card: MakeCard,
    trained_like: TrainedLike,
    exported: Exported,
    architecture: Architecture,
) -> None:
    network, card = trained_like(architecture), make_card(architecture)
    path = tmp_path / "trial.onnx"
    path.write_bytes(exported(architecture))
    read, read_card = read_network(path)
    assert read_card == card
    assert type(read) is type(network)
    assert read.architecture == architecture
    assert not read.training
    assert_same_tensors(read, network)


def test_an_untrained_network_is_the_same_too(make_card: MakeCard) -> None:
    """Many of its tensors are equal, and the exporter gives equal tensors one name."""
    network = build(SMALL)
    read, _ = read_network(to_onnx(network, make_card(SMALL)))
    assert_same_tensors(read, network)


def test_calibrated_weights_hold_the_network_and_their_card_its_own_values(
    make_card: MakeCard, trained_like: TrainedLike, exported: Exported
) -> None:
    network, card = trained_like(SMALL), make_card(SMALL)
    calibrated = replace(card, temperature=1.5)
    weights = with_card(with_temperature(exported(SMALL), calibrated), calibrated)
    read, read_card = read_network(weights)
    assert_same_tensors(read, network)
    assert read_card == card, "a network that is exported again has no temperature yet"


@pytest.mark.parametrize("fast", [False, True])
def test_the_shipped_weights_can_be_trained_on(fast: bool) -> None:
    network, card = read_network(shipped(shipped_name("fp32", fast=fast)))
    assert Architecture(**card.architecture) == network.architecture
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(int(norm.num_batches_tracked or 0) > 100 for norm in norms)
    image = torch.rand(1, 1, card.side, card.side)
    with torch.no_grad():
        logits = network(image)[-1].numpy()
    engine = OnnxEngine(shipped(shipped_name("fp32", fast=fast)))
    expected = 1 / (1 + np.exp(-logits / engine.card.temperature))
    np.testing.assert_allclose(engine.predict(image.numpy()), expected, rtol=0, atol=1e-4)


def test_a_graph_of_folded_convolutions_can_only_segment() -> None:
    with pytest.raises(WeightsError, match="can only segment: an int8 graph"):
        read_network(shipped(shipped_name("int8")))


@pytest.mark.parametrize("architecture", [SMALL, VGG], ids=["plain", "vgg"])
def test_folded_normalisation_gives_the_same_probabilities(
    exported: Exported, architecture: Architecture
) -> None:
    weights = exported(architecture)
    model = onnx.load_from_string(weights)
    assert "BatchNormalization" in [node.op_type for node in model.graph.node]
    before = {constant.name for constant in model.graph.initializer}
    fold(model)
    onnx.checker.check_model(model)
    assert "BatchNormalization" not in [node.op_type for node in model.graph.node]
    left = {constant.name for constant in model.graph.initializer}
    assert not [name for name in left if "running" in name]
    assert before - left
    batch = np.random.default_rng(0).random((2, 1, 64, 64), dtype=np.float32)
    given = OnnxEngine(model.SerializeToString(), threads=1).predict(batch)
    expected = OnnxEngine(weights, threads=1).predict(batch)
    np.testing.assert_allclose(given, expected, rtol=0, atol=1e-5)


def test_a_pruned_network_is_saved_like_any_other(
    make_card: MakeCard, trained_like: TrainedLike
) -> None:
    whole = trained_like(SMALL)
    assert isinstance(whole, UNetPlusPlus)
    smaller = whole.pruned(1)
    read, _ = read_network(to_onnx(smaller, make_card(smaller.architecture)))
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(read(image)[-1], whole(image)[0])


def test_a_safetensors_file_of_an_earlier_version_is_read(
    tmp_path: Path, make_card: MakeCard, trained_like: TrainedLike
) -> None:
    network, card = trained_like(SMALL), make_card(SMALL)
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path, metadata={CARD_KEY: card.to_json()})
    read, read_card = read_network(path)
    assert read_card == card
    assert_same_tensors(read, network)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"weights\.safetensors: no card inside"):
        read_network(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"weights\.safetensors: not a readable weights file"):
        read_network(path)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"no weights",
        b"\x00" * 100,
        b"PK\x03\x04 a zip file, say of torch.save, is none either",
    ],
)
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "weights.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.onnx: not a readable weights file"):
        read_network(path)


def test_bytes_are_refused_without_a_name() -> None:
    with pytest.raises(WeightsError, match="these weights: not a readable"):
        read_network(b"no weights")


def test_a_truncated_file_is_refused(tmp_path: Path, exported: Exported) -> None:
    path = tmp_path / "weights.onnx"
    path.write_bytes(exported(SMALL)[:-100])
    with pytest.raises(WeightsError, match="not a readable"):
        read_network(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a readable"):
        read_network(tmp_path)


def test_weights_of_another_project_are_refused() -> None:
    node = onnx.helper.make_node("Relu", ["image"], ["probabilities"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "graph", [], []))
    with pytest.raises(WeightsError, match="no card inside; export it with `pleura export`"):
        read_network(model.SerializeToString())


@pytest.mark.parametrize(
    "lie",
    [
        {"widths": [4, 6, 10]},
        {"widths": [4]},
        {"kind": "unet"},
        {"kind": "unet+++"},
        {"channels_out": 1},
        {"attention": True},  # a key of some later version
    ],
    ids=str,
)
def test_a_card_that_describes_another_network_is_refused(
    make_card: MakeCard, exported: Exported, lie: dict[str, object]
) -> None:
    card = make_card(SMALL)
    other = replace(card, architecture=card.architecture | lie)
    with pytest.raises(WeightsError, match="do not fit their own card"):
        read_network(with_card(exported(SMALL), other))


def test_a_graph_that_lacks_a_tensor_is_refused(exported: Exported) -> None:
    model = onnx.load_from_string(exported(SMALL))
    (kernel,) = [c for c in model.graph.initializer if c.name == "network.encoder.0.0.weight"]
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel), "network.other"))
    with pytest.raises(WeightsError, match="do not fit their own card"):
        read_network(model.SerializeToString())


def test_transfer_copies_tensors_of_the_same_name_and_shape() -> None:
    torch.manual_seed(0)
    source = build(SMALL)
    network = build(replace(SMALL, channels_out=5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fresh = transfer(source, network)
    # Five maps instead of two: the weights and biases of both heads.
    assert sorted(fresh) == ["head.1.bias", "head.1.weight", "head.2.bias", "head.2.weight"]
    for name, value in network.state_dict().items():
        expected = before if name in fresh else source.state_dict()
        assert torch.equal(value, expected[name])


def test_transfer_copies_the_memory() -> None:
    source, network = build(SMALL), build(SMALL)
    assert transfer(source, network) == []
    with torch.no_grad():
        source.encoder[0][0].weight.zero_()  # type: ignore[index,union-attr]
    assert torch.count_nonzero(network.encoder[0][0].weight)  # type: ignore[index,union-attr]
