"""UNet++ against the paper: parameter counts, topology, and two other implementations."""

from __future__ import annotations

import json
import re
from collections import Counter

import monai.networks.nets
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pleura.core.errors import UsageError
from pleura.net.unetplusplus import (
    Architecture,
    Head,
    UNet,
    UNetPlusPlus,
    build,
    count_parameters,
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


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_pruned_network_gives_the_result_of_its_head(level: int) -> None:
    whole = make(channels_out=2).eval()
    smaller = whole.pruned(level)
    with torch.no_grad():
        [answer] = smaller(film())
        assert torch.equal(answer, whole(film())[level - 1])
    assert not smaller.training
    assert smaller.architecture.widths == TINY[: level + 1]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_pruned_network_has_only_the_nodes_of_its_head(level: int) -> None:
    smaller = make().eval().pruned(level)
    ran: Counter[str] = Counter()
    for name, module in smaller.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda *_, name=name: ran.update([name]))
    smaller(film())
    # Head Lj needs X[i, k] for i + k <= j: 1 + 2 + ... + (j + 1) nodes of two convolutions, of
    # which j (j + 1) / 2 lift their lower neighbour; and the head itself.
    nodes, lifted = (level + 1) * (level + 2) // 2, level * (level + 1) // 2
    assert set(ran.values()) == {1}
    assert len(ran) == 2 * nodes + lifted + 1
    # What ran is everything the network holds, and all of it reaches the answer.
    assert {f"{name}.weight" for name in ran} <= set(smaller.state_dict())
    [answer] = smaller(film())
    answer.sum().backward()
    assert all(p.grad is not None for p in smaller.parameters())


@pytest.mark.parametrize("kind", ["unet", "unet++"])
def test_a_folded_network_uses_every_pixel_and_gives_full_size(kind: str) -> None:
    torch.manual_seed(0)
    architecture = Architecture(kind=kind, widths=(8, 8, 8), fold=2)  # type: ignore[arg-type]
    assert architecture.stride == 2 * 2**2
    network = build(architecture).eval()
    image = film(count=1, height=16, width=24).requires_grad_()
    answer = network(image)[-1]
    assert answer.shape == (1, 1, 16, 24)
    answer.square().sum().backward()
    assert image.grad is not None
    assert torch.count_nonzero(image.grad) == 16 * 24
    if isinstance(network, UNetPlusPlus):
        with torch.no_grad():
            assert torch.equal(network.pruned(1)(image)[0], network(image)[0])


def test_pruning_keeps_the_mode_and_does_not_change_the_original() -> None:
    whole = make()
    smaller = whole.pruned(1)
    assert smaller.training
    with torch.no_grad():
        smaller.head["1"].weight.add_(1)
    assert not torch.equal(smaller.head["1"].weight, whole.head["1"].weight)


def test_pruned_network_takes_films_that_its_fewer_poolings_allow() -> None:
    whole = make().eval()
    with pytest.raises(UsageError):
        whole(film(height=6, width=10))
    assert whole.pruned(1)(film(height=6, width=10))[0].shape == (2, 1, 6, 10)


@pytest.mark.parametrize(("deep", "level"), [(True, 0), (True, 5), (False, 2)])
def test_pruning_at_a_missing_head_names_the_heads(deep: bool, level: int) -> None:
    network = make(deep_supervision=deep)
    with pytest.raises(UsageError, match=f"not L{level}; train with deep_supervision"):
        network.pruned(level)


@pytest.mark.parametrize("kind", ["unet", "unet++"])
@pytest.mark.parametrize(
    ("height", "width", "remedy"),
    [(33, 32, "pad to 48 x 32"), (32, 20, "pad to 32 x 32"), (1, 1, "pad to 16 x 16")],
)
def test_sides_that_cannot_be_halved_are_refused_with_the_padding(
    kind: str, height: int, width: int, remedy: str
) -> None:
    network = build(Architecture(kind=kind, widths=TINY))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"multiples of 16, got {height} x {width}; {remedy}"):
        network(film(height=height, width=width))


@pytest.mark.parametrize("kind", ["unet", "unet++"])
def test_logits_have_the_films_size_whatever_the_aspect(kind: str) -> None:
    network = build(Architecture(kind=kind, widths=TINY, channels_out=5))  # type: ignore[arg-type]
    for head in network(film(count=3, height=32, width=80)):
        assert head.shape == (3, 5, 32, 80)


def without_gradient(network: nn.Module, loss: Tensor) -> set[str]:
    network.zero_grad()
    loss.backward()
    return {
        name
        for name, p in network.named_parameters()
        if p.grad is None or not torch.count_nonzero(p.grad)
    }


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("kind", ["unet", "unet++"])
def test_every_parameter_has_a_gradient(kind: str, batch_norm: bool) -> None:
    torch.manual_seed(0)
    network = build(
        Architecture(kind=kind, widths=(8, 8, 8, 8), batch_norm=batch_norm)  # type: ignore[arg-type]
    )
    heads = network(film(height=64, width=64))
    assert (
        without_gradient(network, torch.stack([head.square().mean() for head in heads]).sum())
        == set()
    )


def test_without_deep_supervision_one_head_gives_gradients_to_every_node() -> None:
    network = make(widths=(8, 8, 8, 8), deep_supervision=False)
    assert list(network.head) == ["3"]
    [logits] = network(film(height=64, width=64))
    assert without_gradient(network, logits.square().mean()) == set()


def test_the_last_head_gives_gradients_to_all_but_the_other_heads() -> None:
    network = make(widths=(8, 8, 8, 8))
    untaught = without_gradient(network, network(film(height=64, width=64))[-1].square().mean())
    assert untaught == {f"head.{j}.{name}" for j in (1, 2) for name in ("weight", "bias")}


def test_without_normalisation_every_convolution_has_a_bias() -> None:
    bare, normalised = make(batch_norm=False), make(batch_norm=True)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in bare.modules())
    assert all(
        module.bias is not None for module in bare.modules() if isinstance(module, nn.Conv2d)
    )
    # With it the bias would be subtracted again; only the heads keep theirs.
    biased = [
        name
        for name, item in normalised.named_modules()
        if isinstance(item, nn.Conv2d) and item.bias is not None
    ]
    assert biased == ["head.1", "head.2", "head.3", "head.4"]


def test_unet_has_only_the_first_column_and_the_diagonal() -> None:
    torch.manual_seed(0)
    network = UNet(Architecture(kind="unet", widths=TINY)).eval()
    numbers = network.state_dict()

    def block(name: str, value: Tensor) -> Tensor:
        for at in (0, 3):
            value = F.conv2d(value, numbers[f"{name}.{at}.weight"], padding=1)
            value = (value / (1 + 1e-5) ** 0.5).clamp(min=0)  # fresh statistics: mean 0, var 1
        return value

    rows = [block("encoder.0", (film() - 0.5) / 0.25)]
    for i in range(1, 5):
        rows.append(block(f"encoder.{i}", F.max_pool2d(rows[-1], 2)))
    x = rows.pop()
    for i in (3, 2, 1, 0):
        lifted = F.conv_transpose2d(x, numbers[f"up.{i}.weight"], numbers[f"up.{i}.bias"], stride=2)
        x = block(f"node.{i}", torch.cat([rows.pop(), lifted], 1))
    expected = F.conv2d(x, numbers["head.weight"], numbers["head.bias"])
    with torch.no_grad():
        [answer] = network(film())
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)


def test_unet_of_the_same_widths_is_smaller() -> None:
    with torch.device("meta"):
        sizes = [
            count_parameters(build(Architecture(kind=kind, widths=(32, 64, 128, 256, 512))))
            for kind in ("unet", "unet++")
        ]
    assert [round(size / 1e6, 1) for size in sizes] == [7.8, 9.0]  # as the paper's table 3 has it


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


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"kind": "unet+++"}, "kind must be unet\\+\\+ or unet, got 'unet\\+\\+\\+'"),
        ({"encoder": "resnet34"}, "encoder must be plain or vgg13_bn, got 'resnet34'"),
        ({"widths": (16,)}, "two or more positive numbers, got \\[16\\]"),
        ({"widths": (16, 0)}, "two or more positive numbers"),
        ({"fold": 0}, "fold must be 1 \\(the paper's network\\) or more, got 0"),
        ({"encoder": "vgg13_bn", "widths": (64, 128), "fold": 2}, "needs fold = 1, got 2"),
        ({"channels_out": 0}, "must be 1 or more, got 1 and 0"),
        ({"encoder": "vgg13_bn"}, "fixes the widths to \\[64, 128, 256, 512, 512\\]"),
        (
            {"encoder": "vgg13_bn", "widths": (64, 128), "channels_in": 2},
            "got channels_in = 2",
        ),
    ],
    ids=str,
)
def test_an_architecture_that_cannot_be_built_is_refused(
    choices: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Architecture(**choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "architecture",
    [Architecture(), Architecture(kind="unet", widths=(2, 3), batch_norm=False, channels_out=5)],
    ids=str,
)
def test_an_architecture_is_read_back_from_plain_values(architecture: Architecture) -> None:
    assert Architecture(**json.loads(json.dumps(architecture.as_dict()))) == architecture


@pytest.mark.parametrize(("fold", "smooth"), [(1, 2), (2, 1), (2, 2), (2, 3), (3, 2)])
def test_a_smooth_head_is_a_head_and_a_filter(fold: int, smooth: int) -> None:
    """Inside the film, as unfolding the 1 x 1 head's logits and filtering them at full size."""
    torch.manual_seed(0)
    head = Head(Architecture(widths=(4, 8), channels_out=3, fold=fold, smooth=smooth))
    features = torch.randn(2, 4, 12, 12)
    line = {1: [1, 2, 1], 2: [1, 4, 6, 4, 1], 3: [1, 6, 15, 20, 15, 6, 1]}[smooth]
    kernel = torch.outer(torch.tensor(line), torch.tensor(line)) / 4.0 ** (2 * smooth)
    logits = F.pixel_shuffle(F.conv2d(features, head.weight, head.bias), fold)
    filtered = F.conv2d(logits, kernel.expand(3, 1, -1, -1), padding=smooth, groups=3)
    inside = slice(3 * fold, -3 * fold)
    for given in (head, head.plain()):
        shown = F.pixel_shuffle(given(features), fold)
        torch.testing.assert_close(shown[..., inside, inside], filtered[..., inside, inside])


def test_without_smoothing_a_head_is_a_plain_convolution() -> None:
    head = Head(Architecture(widths=(4, 8), fold=2))
    features = torch.randn(1, 4, 8, 8)
    assert torch.equal(head(features), F.conv2d(features, head.weight, head.bias))
