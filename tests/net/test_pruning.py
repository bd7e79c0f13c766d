"""UNet++ pruned at one of its heads."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from tests.net.tiny import TINY, film, make
from torch import nn

from pleura.core.errors import UsageError


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
