"""Weights as safetensors: written and read back, and refused if they do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import WeightsError
from pleura.net.checkpoint import from_safetensors, to_safetensors, transfer
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build

SMALL = Architecture(widths=(2, 4, 6), channels_out=2)

MakeCard = Callable[..., Card]
TrainedLike = Callable[[Architecture], UNetPlusPlus | UNet]


@pytest.mark.parametrize(
    "architecture",
    [SMALL, replace(SMALL, kind="unet"), replace(SMALL, batch_norm=False, deep_supervision=False)],
    ids=str,
)
def test_safetensors_round_trip(
    tmp_path: Path, make_card: MakeCard, trained_like: TrainedLike, architecture: Architecture
) -> None:
    network, card = trained_like(architecture), make_card(architecture)
    path = tmp_path / "trial.safetensors"
    path.write_bytes(to_safetensors(network, card))
    read, read_card = from_safetensors(path)
    assert read_card == card
    assert type(read) is type(network)
    assert read.architecture == architecture
    assert not read.training
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(read(image)[-1], network(image)[-1])


def test_bytes_can_be_read_too(make_card: MakeCard, trained_like: TrainedLike) -> None:
    network, card = trained_like(SMALL), make_card(SMALL)
    read, read_card = from_safetensors(to_safetensors(network, card))
    assert read_card == card
    for name, value in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], value)
    with pytest.raises(WeightsError, match="these weights: not a readable"):
        from_safetensors(b"no weights")


def test_a_pruned_network_is_saved_like_any_other(
    tmp_path: Path, make_card: MakeCard, trained_like: TrainedLike
) -> None:
    whole = trained_like(SMALL)
    assert isinstance(whole, UNetPlusPlus)
    smaller = whole.pruned(1)
    path = tmp_path / "pruned.safetensors"
    path.write_bytes(to_safetensors(smaller, make_card(smaller.architecture)))
    read, _ = from_safetensors(path)
    image = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        assert torch.equal(read(image)[-1], whole(image)[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a readable .safetensors file"),
        (b"", "not a readable .safetensors file"),
        (b"\x00" * 100, "not a readable .safetensors file"),
        (b"PK\x03\x04 a zip file, say of torch.save, is none either", "not a readable"),
    ],
)
def test_a_file_of_another_format_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        from_safetensors(path)


def test_a_truncated_file_is_refused(
    tmp_path: Path, make_card: MakeCard, trained_like: TrainedLike
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(to_safetensors(trained_like(SMALL), make_card(SMALL))[:-100])
    with pytest.raises(WeightsError, match="not a readable"):
        from_safetensors(path)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not a readable"):
        from_safetensors(tmp_path)


def test_weights_of_another_project_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no card inside; export it with `pleura export`"):
        from_safetensors(path)


@pytest.mark.parametrize(
    "lie",
    [
        {"widths": [2, 4, 8]},
        {"widths": [2]},
        {"kind": "unet"},
        {"kind": "unet+++"},
        {"channels_out": 1},
        {"attention": True},  # a key of some later version
    ],
    ids=str,
)
def test_a_card_that_describes_another_network_is_refused(
    tmp_path: Path, make_card: MakeCard, lie: dict[str, object]
) -> None:
    network = build(SMALL)
    table = json.loads(make_card(SMALL).to_json())
    table["architecture"] |= lie
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), path, metadata={CARD_KEY: json.dumps(table)})
    with pytest.raises(WeightsError, match="do not fit their own card"):
        from_safetensors(path)


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
