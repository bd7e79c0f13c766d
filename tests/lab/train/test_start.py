"""Where a run starts from: fresh, other weights, or a public encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.lab.train.module import fresh_network, pinned
from pleura.lab.train.recipe import Recipe
from pleura.net.checkpoint import read_network
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build
from pleura.runtime.open import ONNX, shipped, shipped_digest

RECIPE = Recipe(name="trial", side=32, network=Architecture(widths=(2, 4, 6)))
FIVE = ("right_field", "left_field", "right_whole", "left_whole", "heart")

Save = Callable[..., tuple[str, UNetPlusPlus | UNet]]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes weights of some network as a file: (path, the network)."""

    def write(
        architecture: Architecture, channels: tuple[str, ...] = ("field",)
    ) -> tuple[str, UNetPlusPlus | UNet]:
        torch.manual_seed(77)
        network = build(replace(architecture, channels_out=len(channels)))
        card = Card(
            name="theirs",
            version="0.1",
            channels=channels,
            side=64,
            architecture=network.architecture.as_dict(),
        )
        path = tmp_path / "theirs.safetensors"  # quicker to write than an export
        save_file(network.state_dict(), path, metadata={CARD_KEY: card.to_json()})
        return str(path), network

    return write


def test_the_seed_alone_decides_the_fresh_numbers() -> None:
    torch.manual_seed(1)
    one = fresh_network(RECIPE).state_dict()
    after_one = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after_one), "and nothing else is drawn"
    two = fresh_network(RECIPE).state_dict()
    other = fresh_network(replace(RECIPE, seed=1)).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["encoder.0.0.weight"], other["encoder.0.0.weight"])


def test_weights_of_the_same_channels_are_all_copied(save: Save) -> None:
    path, theirs = save(RECIPE.network)
    network = fresh_network(replace(RECIPE, init=path))
    assert network.training
    for name, value in theirs.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


def test_heads_are_copied_by_channel_and_others_are_fresh(save: Save) -> None:
    path, theirs = save(RECIPE.network)  # of the channel `field`
    recipe = replace(RECIPE, channels=FIVE, network=replace(RECIPE.network, channels_out=5))
    fresh, network = fresh_network(recipe), fresh_network(replace(recipe, init=path))
    for name, value in network.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(value, theirs.state_dict()[name]), name
            continue
        field = theirs.state_dict()[name]
        expected = torch.cat((field, field, fresh.state_dict()[name][2:]))  # right, left, others
        assert torch.equal(value, expected), name


def test_a_shallower_network_starts_from_a_deeper_one(save: Save) -> None:
    path, theirs = save(replace(RECIPE.network, widths=(2, 4, 6, 8)))
    network = fresh_network(replace(RECIPE, init=path))
    for name, value in network.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (
            Architecture(widths=(4, 8, 12)),
            r"take their \[network\] table: widths \[4, 8, 12\], not",
        ),
        (Architecture(widths=(2, 4)), r"widths \[2, 4\], not \[2, 4, 6\]"),
        (Architecture(widths=(2, 4, 6), batch_norm=False), "batch_norm False, not True"),
        (Architecture(widths=(2, 4, 6), kind="unet"), r"kind unet, not unet\+\+"),
        (Architecture(widths=(2, 4, 6), fold=2), "fold 2, not 1"),
    ],
    ids=str,
)
def test_weights_of_another_network_are_refused(
    save: Save, theirs: Architecture, message: str
) -> None:
    path, _ = save(theirs)
    with pytest.raises(UsageError, match=message):
        fresh_network(replace(RECIPE, init=path))


def test_the_digest_that_a_recipe_names_is_checked(save: Save) -> None:
    path, _ = save(RECIPE.network)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    fresh_network(replace(RECIPE, init=f"{path}#sha256={digest.upper()}"))
    with pytest.raises(WeightsError, match=f"its SHA-256 is {digest}, but the recipe starts from"):
        fresh_network(replace(RECIPE, init=f"{path}#sha256={'0' * 64}"))


def test_a_run_keeps_the_digest_of_what_it_started_from(save: Save) -> None:
    path, _ = save(RECIPE.network)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    recipe = pinned(replace(RECIPE, init=path))
    assert recipe.init == f"{path}#sha256={digest}"
    assert pinned(recipe) == recipe
    assert pinned(RECIPE) == RECIPE
    of_shipped = pinned(replace(RECIPE, init="shipped")).init
    assert of_shipped == f"shipped#sha256={shipped_digest(ONNX)}"


def test_weights_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.onnx: .* not a readable"):
        fresh_network(replace(RECIPE, init=str(tmp_path / "gone.onnx")))


def test_the_shipped_weights_can_be_started_from() -> None:
    theirs, card = read_network(shipped())
    recipe = Recipe(
        name="trial",
        side=card.side,
        channels=FIVE,
        network=replace(theirs.architecture, channels_out=len(FIVE)),
        init="shipped",
    )
    network = fresh_network(recipe)
    for name, value in theirs.state_dict().items():
        if not name.startswith("head."):
            assert torch.equal(network.state_dict()[name], value)


def test_an_encoder_is_loaded_from_a_public_file(tmp_path: Path) -> None:
    network = Architecture(widths=(64, 128), encoder="vgg13_bn")
    torch.manual_seed(4)
    public = {}
    for at, (before, after) in {0: (3, 64), 3: (64, 64), 7: (64, 128), 10: (128, 128)}.items():
        public[f"features.{at}.weight"] = torch.rand(after, before, 3, 3)
        public[f"features.{at}.bias"] = torch.rand(after)
        for name in ("weight", "bias", "running_mean", "running_var"):
            public[f"features.{at + 1}.{name}"] = torch.rand(after)
    path = tmp_path / "vgg13_bn.pth"
    torch.save(public, path)
    started = fresh_network(replace(RECIPE, network=network, encoder_weights=str(path)))
    given = started.encoder.state_dict()
    assert torch.equal(given["1.3.weight"], public["features.10.weight"])
