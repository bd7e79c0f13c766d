"""UNet++ and U-Net in torch, as in the papers.

Zhou et al. 2018 (arXiv:1807.10165, section 3.1 and figure 1a) and Zhou et al. 2020
(arXiv:1912.05074). In their notation, node X[i, j] lies at depth i (side S / 2**i,
`widths[i]` channels) and in column j; column 0 is the encoder, and

    X[i, 0] = H(pool(X[i-1, 0]))
    X[i, j] = H([X[i, 0], ..., X[i, j-1], up(X[i+1, j-1])])      j > 0

with H two 3 x 3 convolutions, each followed by batch normalisation (optional) and ReLU, and
`up` a 2 x 2 transposed convolution. Head Lj is a 1 x 1 convolution on X[0, j].
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from pleura.core.errors import UsageError
from pleura.net.vgg import IMAGENET_MEAN, IMAGENET_STD, VGG13_WIDTHS, vgg13_stages

__all__ = ["Architecture", "Backbone", "UNet", "UNetPlusPlus", "build", "conv_pair"]

FILM_MEAN, FILM_STD = 0.5, 0.25
"""The approximate mean and standard deviation of a film's pixels, normalised to [0, 1]."""

Kind = Literal["unet++", "unet"]
Encoder = Literal["plain", "vgg13_bn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Everything that determines the shape of a network; it is stored with the weights."""

    kind: Kind = "unet++"
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels of row i, from the finest; depth is `len(widths) - 1` poolings."""

    channels_in: int = 1
    channels_out: int = 1
    batch_norm: bool = True
    deep_supervision: bool = True
    """Whether every head L1..Ln is trained; otherwise only the last head exists."""

    encoder: Encoder = "plain"

    fold: int = 1
    """Each `fold` x `fold` square of pixels becomes the channels of one pixel, and each head gives
    as many logits (Shi et al. 2016, arXiv:1609.05158). With 2, a film of 512 px is computed at 256
    px, with a quarter of the operations. The paper's network has 1."""

    smooth: int = 0
    """Radius in pixels of a fixed binomial filter over each head's logits. Without it a head
    decides each pixel separately, and outlines are ragged. The paper's network has no filter: 0."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        for name, value, known in (
            ("kind", self.kind, get_args(Kind)),
            ("encoder", self.encoder, get_args(Encoder)),
        ):
            if value not in known:
                raise UsageError(f"network {name} must be {' or '.join(known)}, got {value!r}")
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise UsageError(
                f"widths must be two or more positive numbers, got {list(self.widths)}; "
                "the paper's are [32, 64, 128, 256, 512]"
            )
        if self.channels_in < 1 or self.channels_out < 1:
            raise UsageError(
                "channels_in and channels_out must be 1 or more, "
                f"got {self.channels_in} and {self.channels_out}"
            )
        if self.smooth < 0:
            raise UsageError(f"smooth must be 0 (the paper's network) or more, got {self.smooth}")
        if self.fold < 1:
            raise UsageError(f"fold must be 1 (the paper's network) or more, got {self.fold}")
        if self.encoder == "vgg13_bn":
            self._check_vgg()

    def _check_vgg(self) -> None:
        if self.widths != VGG13_WIDTHS[: len(self.widths)]:
            raise UsageError(
                f"encoder 'vgg13_bn' fixes the widths to {list(VGG13_WIDTHS)}, "
                f"got {list(self.widths)}; take these or encoder 'plain'"
            )
        if self.fold != 1:
            raise UsageError(f"encoder 'vgg13_bn' needs fold = 1, got {self.fold}")
        if self.channels_in not in (1, 3):
            raise UsageError(
                "encoder 'vgg13_bn' takes one channel, which it repeats, or three; "
                f"got channels_in = {self.channels_in}"
            )

    @property
    def levels(self) -> int:
        """The number of heads, which is the number of poolings."""
        return len(self.widths) - 1

    @property
    def stride(self) -> int:
        """An input's sides must be multiples of this."""
        return int(2**self.levels) * self.fold

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for TOML and JSON."""
        return {**asdict(self), "widths": list(self.widths)}


def conv_pair(channels_in: int, channels_out: int, *, batch_norm: bool) -> nn.Sequential:
    """H of the paper: two 3 x 3 convolutions, each with normalisation (optional) and ReLU."""
    layers: list[nn.Module] = []
    for before in (channels_in, channels_out):
        layers.append(nn.Conv2d(before, channels_out, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels_out))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Head(nn.Conv2d):
    """A 1 x 1 convolution from the finest row to logits, and a filter that smooths the logits.

    The filter is binomial with radius `smooth` (2: 1 4 6 4 1, in both directions), in pixels of the
    image, so it also mixes the logits of folded pixels. Convolution and filter are computed as one
    convolution. Its weights follow from the 1 x 1 weights, and only these are learned and stored.
    """

    smoothing: Tensor

    def __init__(self, architecture: Architecture) -> None:
        self.fold, radius = architecture.fold, architecture.smooth
        super().__init__(architecture.widths[0], architecture.channels_out * self.fold**2, 1)
        self.register_buffer("smoothing", binomial(self.fold, radius), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, widths[0], S/fold, S/fold) -> (N, channels_out * fold**2, S/fold, S/fold)."""
        weight, bias = self.smoothed()
        return functional.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)

    def smoothed(self) -> tuple[Tensor, Tensor]:
        """The weight and the bias of the convolution combined with the filter.

        The weight is (channels_out * fold**2, widths[0], K, K).
        """
        if self.smoothing.shape[-1] == 1:  # no smoothing
            return self.weight, self.required_bias()
        parts = self.fold**2
        weight = self.weight.view(-1, parts, self.in_channels)
        wide = torch.einsum("styx,ctw->cswyx", self.smoothing, weight)
        bias = torch.einsum("styx,ct->cs", self.smoothing, self.required_bias().view(-1, parts))
        return wide.flatten(0, 1), bias.flatten()

    def required_bias(self) -> Tensor:
        """The bias; every head has one."""
        assert self.bias is not None
        return self.bias

    def plain(self) -> nn.Conv2d:
        """Convolution and filter as one plain convolution, for export."""
        weight, bias = (part.detach() for part in self.smoothed())
        size = weight.shape[-1]
        conv = nn.Conv2d(self.in_channels, self.out_channels, size, padding=size // 2)
        conv.load_state_dict({"weight": weight, "bias": bias})
        return conv


def binomial(fold: int, radius: int) -> Tensor:
    """The filter for folded pixels, (fold**2, fold**2, K, K).

    A cell is a folded pixel: a square of fold x fold pixels of the image. Entry [s, t, y, x] is
    the weight of source pixel t for target pixel s. The cell of t lies y - K//2 rows below and
    x - K//2 columns to the right of the cell of s; s and t count as in `pixel_shuffle`.
    """
    line = torch.tensor([math.comb(2 * radius, k) / 4**radius for k in range(2 * radius + 1)])
    reach = -(-radius // fold)
    cells = torch.zeros(fold, fold, 2 * reach + 1)  # of one axis: target, source, cell
    for to in range(fold):
        for step, share in enumerate(line, start=-radius):
            cell, place = divmod(to + step, fold)
            cells[to, place, cell + reach] = share
    both = torch.einsum("aby,cdx->acbdyx", cells, cells)
    return both.reshape(fold**2, fold**2, 2 * reach + 1, 2 * reach + 1)


class Backbone(nn.Module):
    """The common part of U-Net and UNet++: scaling of the input, encoder column, heads."""

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths, vgg = architecture.widths, architecture.encoder == "vgg13_bn"
        mean = IMAGENET_MEAN if vgg else (FILM_MEAN,)
        std = IMAGENET_STD if vgg else (FILM_STD,)
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)
        self.pool = nn.MaxPool2d(2)
        if vgg:
            column = vgg13_stages(len(widths), batch_norm=architecture.batch_norm)
        else:
            before = (architecture.channels_in * architecture.fold**2, *widths[:-1])
            column = [
                conv_pair(a, b, batch_norm=architecture.batch_norm)
                for a, b in zip(before, widths, strict=True)
            ]
        self.encoder = nn.ModuleList(column)

    def scale(self, image: Tensor) -> Tensor:
        """(N, 1, S, S) in [0, 1] -> about zero mean, folded; three channels for VGG's encoder."""
        self._check_size(image)
        scaled: Tensor = (image - self.mean) / self.std
        fold = self.architecture.fold
        return functional.pixel_unshuffle(scaled, fold) if fold > 1 else scaled

    def new_head(self) -> Head:
        """A new head, from the finest row to the logits."""
        return Head(self.architecture)

    def unfold(self, logits: Tensor) -> Tensor:
        """A head's output -> (N, channels_out, S, S)."""
        fold = self.architecture.fold
        return functional.pixel_shuffle(logits, fold) if fold > 1 else logits

    def _check_size(self, image: Tensor) -> None:
        stride = self.architecture.stride
        height, width = image.shape[-2:]
        if height % stride or width % stride:
            fit = [-(-n // stride) * stride for n in (height, width)]
            raise UsageError(
                f"{self.architecture.levels} poolings need sides that are multiples of {stride}, "
                f"got {height} x {width}; pad to {fit[0]} x {fit[1]}"
            )


def initialise(network: nn.Module) -> None:
    """He-normal convolutions (for ReLU), unit normalisation, zero biases."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class UNetPlusPlus(Backbone):
    """UNet++ with heads L1..Ln, or only with the last head if there is no deep supervision."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        widths, levels = architecture.widths, architecture.levels
        self.node, self.up = nn.ModuleDict(), nn.ModuleDict()
        for j in range(1, levels + 1):
            for i in range(levels + 1 - j):
                self.up[f"{i}_{j}"] = nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2)
                self.node[f"{i}_{j}"] = conv_pair(
                    (j + 1) * widths[i], widths[i], batch_norm=architecture.batch_norm
                )
        first = 1 if architecture.deep_supervision else levels
        self.head = nn.ModuleDict({str(j): self.new_head() for j in range(first, levels + 1)})
        initialise(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, channels_in, S, S) in [0, 1] -> logits (N, channels_out, S, S), one per head.

        S is a multiple of `architecture.stride`. The last logits are the result; the others are for
        deep supervision and pruning.
        """
        x: dict[tuple[int, int], Tensor] = {}
        below, levels = self.scale(image), self.architecture.levels
        for i, stage in enumerate(self.encoder):
            below = x[i, 0] = stage(self.pool(below) if i else below)  # (N, widths[i], S/2^i, ..)
        for j in range(1, levels + 1):
            for i in range(levels + 1 - j):
                row = [x[i, k] for k in range(j)]
                upsampled = self.up[f"{i}_{j}"](x[i + 1, j - 1])
                x[i, j] = self.node[f"{i}_{j}"](torch.cat([*row, upsampled], dim=1))
        return [self.unfold(head(x[0, int(j)])) for j, head in self.head.items()]

    def pruned(self, level: int) -> UNetPlusPlus:
        """The sub-network of head L`level`: the nodes that this head needs.

        It is a UNet++ with the first `level + 1` widths and one head; its tensors keep their names.
        So it is saved, read and exported like any other network.

        Raises `UsageError` if there is no such head.
        """
        if str(level) not in self.head:
            raise UsageError(
                f"this network has heads {', '.join('L' + j for j in self.head)}, not L{level}; "
                "train with deep_supervision = true to prune"
            )
        widths = self.architecture.widths[: level + 1]
        smaller = UNetPlusPlus(replace(self.architecture, widths=widths, deep_supervision=False))
        own = self.state_dict()
        smaller.load_state_dict({name: own[name] for name in smaller.state_dict()})
        return smaller.train(self.training)


class UNet(Backbone):
    """U-Net (Ronneberger et al. 2015, arXiv:1505.04597) of the same blocks, for comparison."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        widths = architecture.widths
        pairs = list(itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.node = nn.ModuleList(
            conv_pair(2 * a, a, batch_norm=architecture.batch_norm) for a in widths[:-1]
        )
        self.head = self.new_head()
        initialise(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, channels_in, S, S) in [0, 1] -> one tensor of logits (N, channels_out, S, S)."""
        rows: list[Tensor] = []
        x = self.scale(image)
        for i, stage in enumerate(self.encoder):
            x = stage(self.pool(x) if i else x)
            rows.append(x)
        for i in reversed(range(len(self.node))):
            x = self.node[i](torch.cat([rows[i], self.up[i](x)], dim=1))
        return [self.unfold(self.head(x))]


def build(architecture: Architecture) -> UNetPlusPlus | UNet:
    """The network of `architecture`, newly initialised."""
    if architecture.kind == "unet":
        return UNet(architecture)
    return UNetPlusPlus(architecture)


def count_parameters(modules: nn.Module | Sequence[nn.Module]) -> int:
    """The number of trainable parameters of a network, or of a list of its parts."""
    parts = [modules] if isinstance(modules, nn.Module) else modules
    return sum(p.numel() for part in parts for p in part.parameters())
