"""The choices of an architecture: folding, normalisation, supervision, UNet, smoothing."""

from __future__ import annotations

import json

import pytest
import torch
from tests.net.tiny import TINY, film, make
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
