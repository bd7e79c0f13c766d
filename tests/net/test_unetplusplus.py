"""UNet++ against the paper: its parameters, its equation, and golden logits."""

from __future__ import annotations

import re

import monai.networks.nets
import pytest
import torch
from tests.net.tiny import film, make
from torch import Tensor
from torch.nn import functional as F

from pleura.net.unetplusplus import (
    Architecture,
    UNetPlusPlus,
    count_parameters,
)

# The paper's counts (Zhou et al. 2020, figure 3): L1 0.1 M, L2 0.5 M, L3 2.2 M, L4 9.0 M.
# By hand, for widths 32-512, three channels in, one out, convolutions with biases and no
# normalisation. H(a, b) = (9ab + b) + (9bb + b); up(a, b) = 4ab + b; a head has 32 + 1 numbers.
#
#   encoder   H(3,32) 10,144    H(32,64) 55,424   H(64,128) 221,440   H(128,256) 885,248
#             H(256,512) 3,539,968
#   row 0     up(64,32) 8,224   and H(64,32) 27,712   H(96,32) 36,928   H(128,32) 46,144
#             H(160,32) 55,360
#   row 1     up(128,64) 32,832   and H(128,64) 110,720   H(192,64) 147,584   H(256,64) 184,448
#   row 2     up(256,128) 131,200   and H(256,128) 442,624   H(384,128) 590,080
#   row 3     up(512,256) 524,544   and H(512,256) 1,769,984
#
#   L1 = 10,144 + 55,424 + (8,224 + 27,712) + 33                                =   101,537
#   L2 = L1 + 221,440 + (8,224 + 36,928) + (32,832 + 110,720)                   =   511,681
#   L3 = L2 + 885,248 + (8,224 + 46,144) + (32,832 + 147,584)
#           + (131,200 + 442,624)                                               = 2,205,537
#   L4 = L3 + 3,539,968 + (8,224 + 55,360) + (32,832 + 184,448)
#           + (131,200 + 590,080) + (524,544 + 1,769,984)                       = 9,042,177
PAPER = {1: (101_537, 0.1), 2: (511_681, 0.5), 3: (2_205_537, 2.2), 4: (9_042_177, 9.0)}


@pytest.mark.parametrize("level", PAPER)
def test_pruned_networks_have_the_papers_number_of_parameters(level: int) -> None:
    widths = (32, 64, 128, 256, 512)
    with torch.device("meta"):  # counting needs no numbers
        whole = UNetPlusPlus(Architecture(widths=widths, channels_in=3, batch_norm=False))
        smaller = UNetPlusPlus(
            Architecture(
                widths=widths[: level + 1], channels_in=3, batch_norm=False, deep_supervision=False
            )
        )
    exact, millions = PAPER[level]
    assert count_parameters(smaller) == exact
    assert round(exact / 1e6, 1) == millions
    assert count_parameters(whole) == PAPER[4][0] + 3 * 33  # its other three heads


def test_normalisation_has_two_parameters_a_channel_and_no_bias() -> None:
    widths = (32, 64, 128, 256, 512)
    with torch.device("meta"):
        counts = [
            count_parameters(UNetPlusPlus(Architecture(widths=widths, batch_norm=value)))
            for value in (True, False)
        ]
    # Two convolutions in each of 5, 4, 3, 2 and 1 nodes of rows 0 to 4.
    normalised = 2 * (5 * 32 + 4 * 64 + 3 * 128 + 2 * 256 + 512)
    assert counts[0] - counts[1] == normalised


def reference(network: UNetPlusPlus, image: Tensor) -> list[Tensor]:
    """The paper's equation as a recursion over X[i, j], with the network's own weights.

    Zhou et al. 2018, equation 1: x(i,j) = H(x(i-1,j)) if j = 0, else
    H([[x(i,k)] for k < j, U(x(i+1,j-1))]).
    """
    numbers = network.state_dict()
    seen: dict[tuple[int, int], Tensor] = {}

    def block(name: str, value: Tensor) -> Tensor:
        for at in ("0", "3") if f"{name}.1.running_mean" in numbers else ("0", "2"):
            value = F.conv2d(
                value, numbers[f"{name}.{at}.weight"], numbers.get(f"{name}.{at}.bias"), padding=1
            )
            norm = f"{name}.{int(at) + 1}"
            if f"{norm}.running_mean" in numbers:
                shown = [numbers[f"{norm}.{name}"] for name in ("running_mean", "running_var")]
                value = F.batch_norm(
                    value, *shown, numbers[f"{norm}.weight"], numbers[f"{norm}.bias"]
                )
            value = value.clamp(min=0)
        return value

    def x(i: int, j: int) -> Tensor:
        if (i, j) not in seen:
            if j == 0:
                given = (
                    folded((image - 0.5) / 0.25, fold) if i == 0 else F.max_pool2d(x(i - 1, 0), 2)
                )
                seen[i, j] = block(f"encoder.{i}", given)
            else:
                up = f"up.{i}_{j}"
                lifted = F.conv_transpose2d(
                    x(i + 1, j - 1), numbers[f"{up}.weight"], numbers[f"{up}.bias"], stride=2
                )
                beside = [x(i, k) for k in range(j)]
                seen[i, j] = block(f"node.{i}_{j}", torch.cat([*beside, lifted], 1))
        return seen[i, j]

    depth, fold = network.architecture.levels, network.architecture.fold
    heads = [j for j in range(1, depth + 1) if f"head.{j}.weight" in numbers]
    return [
        unfolded(F.conv2d(x(0, j), numbers[f"head.{j}.weight"], numbers[f"head.{j}.bias"]), fold)
        for j in heads
    ]


def folded(image: Tensor, fold: int) -> Tensor:
    """Every fold-th pixel for each position in a square: the inverse of Shi et al. 2016."""
    places = [(r, c) for r in range(fold) for c in range(fold)]
    maps = [image[:, k, r::fold, c::fold] for k in range(image.shape[1]) for r, c in places]
    return torch.stack(maps, 1)


def unfolded(maps: Tensor, fold: int) -> Tensor:
    count, channels, height, width = maps.shape
    image = torch.empty(count, channels // fold**2, height * fold, width * fold)
    for at in range(channels):
        k, r, c = at // fold**2, at % fold**2 // fold, at % fold
        image[:, k, r::fold, c::fold] = maps[:, at]
    return image


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"batch_norm": False},
        {"deep_supervision": False},
        {"widths": (3, 5), "channels_out": 2},
        {"widths": (3, 4, 5, 6, 7, 8), "channels_in": 3, "channels_out": 5},
        {"widths": (3, 4, 5), "fold": 2, "channels_in": 2, "channels_out": 3},
        {"widths": (3, 4), "fold": 4},
    ],
    ids=str,
)
def test_network_computes_the_papers_equation(choices: dict[str, object]) -> None:
    network = make(**choices).eval()
    image = film(channels=network.architecture.channels_in, height=32, width=64)
    with torch.no_grad():
        ours, theirs = network(image), reference(network, image)
    architecture = network.architecture
    heads = architecture.levels if architecture.deep_supervision else 1
    assert len(ours) == len(theirs) == heads
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


def monais_name(name: str) -> str:
    """Our name for a name in MONAI's BasicUNetPlusPlus."""
    for pattern, place in (
        (r"final_conv_0_(\d)", r"head.\1"),
        (r"upcat_(\d)_(\d)\.upsample\.deconv", r"up.\1_\2"),
        (r"upcat_(\d_\d)\.convs", r"node.\1"),
        (r"conv_(\d)_0(\.convs)?", r"encoder.\1"),
        (r"\.conv_0\.conv", ".0"),
        (r"\.conv_0\.adn\.N", ".1"),
        (r"\.conv_1\.conv", ".3"),
        (r"\.conv_1\.adn\.N", ".4"),
    ):
        name = re.sub(pattern, place, name)
    return name


def test_network_equals_monais_of_the_same_topology() -> None:
    # MONAI's row 0 lifts without halving, so the two agree where the first two widths are equal.
    widths = (4, 4, 8, 16, 32)
    ours = make(widths=widths, channels_out=2).eval()
    theirs = monai.networks.nets.BasicUNetPlusPlus(
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        features=(*widths, widths[0]),
        deep_supervision=True,
        act="relu",
        norm="batch",
        bias=False,  # of its convolutions; its lifting has one, as ours
    ).eval()
    numbers = ours.state_dict()
    theirs.load_state_dict({name: numbers.pop(monais_name(name)) for name in theirs.state_dict()})
    assert not numbers, "every number of ours has its place in MONAI's"
    image = film()
    with torch.no_grad():
        pairs = zip(ours(image), theirs((image - 0.5) / 0.25), strict=True)
        for mine, other in pairs:
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)


def test_golden_logits() -> None:
    torch.manual_seed(0)
    network = UNetPlusPlus(Architecture(widths=(4, 8, 16))).eval()
    ramp = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    with torch.no_grad():
        first, last = network(ramp)
    shown = [first[0, 0, 1, 1], first[0, 0, 5, 7], last[0, 0, 1, 3], last[0, 0, 6, 1]]
    # Written down once; a change here means that weights made before no longer mean the same.
    golden = torch.tensor([-0.735233, -0.525488, -0.137602, -0.111198])
    torch.testing.assert_close(torch.stack(shown), golden, rtol=1e-4, atol=1e-5)
