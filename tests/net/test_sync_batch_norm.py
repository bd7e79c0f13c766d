"""Batch normalisation over processes, beside torch's; `lab/train/test_run.py` has two processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, distributed, nn

from pleura.net.sync_batch_norm import SyncBatchNorm2d, synchronise


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def networks() -> tuple[nn.Sequential, nn.Sequential]:
    """Two equal networks, with torch's normalisation and with the other."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, momentum=0.3)))
    synchronise(made[1])
    return made[0], made[1]


def trained(network: nn.Sequential, films: Tensor) -> list[Tensor]:
    """The result of a step and of the evaluation after it, the gradients and the tensors."""
    out = network(films)
    (out.float() * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None for gradient in gradients)
    evaluated = network.eval()(films)
    tensors = [*network.state_dict().values()]
    return [out, evaluated, *(g for g in gradients if g is not None), *tensors]


def test_one_process_gives_what_torch_gives() -> None:
    films = 3 + 2 * torch.randn(4, 2, 9, 7, generator=torch.manual_seed(1))
    plain, synced = networks()
    assert type(synced[1]) is SyncBatchNorm2d
    assert plain.state_dict().keys() == synced.state_dict().keys()
    for expected, found in zip(trained(plain, films), trained(synced, films), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_16_bits() -> None:
    films = torch.randn(2, 2, 9, 7).to(memory_format=torch.channels_last)
    plain, synced = networks()
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = plain(films), synced(films)
    assert found.dtype == expected.dtype == torch.bfloat16
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_a_mean_far_from_zero_keeps_the_variance() -> None:
    # Values m - 1 and m + 1 in equal numbers: mean m, variance 1; in 32 bits m^2 + 1 = m^2.
    films = torch.tensor([9999.0, 10001.0]).repeat(8).view(1, 1, 4, 4)
    found = SyncBatchNorm2d(1)(films)
    torch.testing.assert_close(found, films - 10000, rtol=1e-3, atol=1e-3)
