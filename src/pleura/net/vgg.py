"""VGG13's convolution stack as an encoder column, and the names of its public weights.

Simonyan and Zisserman 2015 (arXiv:1409.1556), configuration B, with batch normalisation. The one
channel of a film is repeated three times and scaled by ImageNet's mean and standard deviation, so
the first layer does not differ from the public one.
"""

from __future__ import annotations

import itertools

from torch import nn

VGG13_WIDTHS = (64, 128, 256, 512, 512)
"""Output channels of the five stages."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB in [0, 1], as in the training of the weights."""


def vgg13_stages(count: int = len(VGG13_WIDTHS), *, batch_norm: bool) -> list[nn.Module]:
    """The first `count` of five stages of two convolutions; there is pooling between stages."""
    pairs = itertools.pairwise((3, *VGG13_WIDTHS[:count]))
    return [_stage(before, after, batch_norm) for before, after in pairs]


def _stage(channels_in: int, channels_out: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (channels_in, channels_out):
        # torchvision has a bias before the normalisation; it is needed to load its weights
        layers.append(nn.Conv2d(width, channels_out, 3, padding=1, bias=True))
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels_out))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)
