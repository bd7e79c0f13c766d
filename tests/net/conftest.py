"""Cards and networks small enough to build in every test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import nn

from pleura.core.card import Card
from pleura.net.export import to_onnx
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build


def card_of(architecture: Architecture, *, side: int = 64) -> Card:
    return Card(
        name="trial",
        version="0.1",
        channels=("field", "heart")[: architecture.channels_out],
        side=side,
        architecture=architecture.as_dict(),
        recipe={"name": "trial", "epochs": 3},
        scores={"val_dice_square": 0.97},
        data={"fingerprint": "f00d"},
    )


def network_of(architecture: Architecture) -> UNetPlusPlus | UNet:
    torch.manual_seed(5)
    network = build(architecture)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.rand(2, architecture.channels_in, 64, 64))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return network.eval()


@pytest.fixture
def make_card() -> Callable[..., Card]:
    return card_of


@pytest.fixture
def trained_like() -> Callable[[Architecture], UNetPlusPlus | UNet]:
    """A network whose running statistics are not the initial ones, as after training."""
    return network_of


@pytest.fixture(scope="session")
def exported() -> Callable[[Architecture], bytes]:
    """The ONNX file of `trained_like` with the card of `make_card`; made once, it takes seconds."""
    return cache(lambda architecture: to_onnx(network_of(architecture), card_of(architecture)))
