"""Batch normalisation over the films of all processes of a training run.

torch's SyncBatchNorm needs a GPU. This one also works on CPUs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn

__all__ = ["SyncBatchNorm2d", "synchronise"]


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of the batches of all processes together.

    Names and meaning of its tensors are those of `BatchNorm2d`. In evaluation it does the same.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) of this process, normalised; all processes must call it together."""
        if not self.training:
            return super().forward(features)
        count, mean, variance = self._statistics(features)
        self._follow(count, mean.detach(), variance.detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        shape = (1, -1, 1, 1)
        normalised = torch.addcmul(shift.view(shape), features, scale.view(shape))
        return normalised.to(features.dtype)

    def _statistics(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Number of values, and mean and variance of each channel, over all processes.

        Sums over processes are added in 64 bits, so that the difference of mean square and squared
        mean keeps the precision of the variances.
        """
        own = features.float()
        variance, mean = (
            part.double() for part in torch.var_mean(own, dim=(0, 2, 3), correction=0)
        )
        count = torch.full_like(mean[:1], own.numel() // own.shape[1])
        sums = torch.cat([count, count * mean, count * (variance + mean.square())])
        reduced = _Sum.apply(sums)  # type: ignore[no-untyped-call]
        count, total, squares = reduced.split([1, len(mean), len(mean)])
        mean = total / count
        return count.detach(), mean.float(), (squares / count - mean.square()).float()

    def _follow(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Move the averages of evaluation towards these statistics, as `BatchNorm2d` does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_((variance * (count / (count - 1))).float(), self.momentum)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(_ctx: Any, part: Tensor) -> Tensor:
        total = part.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def synchronise(network: nn.Module) -> None:
    """Let each batch normalisation of `network` use the films of all processes, in place.

    The network keeps its tensors and their names.
    """
    for parent in list(network.modules()):
        for name, part in parent.named_children():
            if type(part) is nn.BatchNorm2d:
                setattr(parent, name, _synchronised(part))


def _synchronised(norm: nn.BatchNorm2d) -> SyncBatchNorm2d:
    made = SyncBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    made.weight, made.bias = norm.weight, norm.bias
    made.running_mean, made.running_var = norm.running_mean, norm.running_var
    made.num_batches_tracked = norm.num_batches_tracked
    return made.train(norm.training)
