"""A small UNet++ with random weights, and random films."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pleura.net.unetplusplus import (
    Architecture,
    UNetPlusPlus,
)

TINY = (2, 4, 6, 8, 10)


def make(seed: int = 0, **choices: object) -> UNetPlusPlus:
    torch.manual_seed(seed)
    network = UNetPlusPlus(Architecture(**{"widths": TINY, **choices}))  # type: ignore[arg-type]
    with torch.no_grad():  # statistics and biases that a mistake could not hide behind
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
            elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None:
                module.bias.normal_()
    return network


def film(*, count: int = 2, channels: int = 1, height: int = 32, width: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, channels, height, width, generator=generator)
