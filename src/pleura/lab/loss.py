"""Binary cross-entropy + Dice, only where a film is labelled, averaged over the heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bce_dice", "supervise"]

SMOOTH = 1.0
"""Added above and below in Dice, in pixels, so that an empty target has a gradient."""


def bce_dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean over labelled channels, of the mean over their films, of cross-entropy + (1 - Dice).

    All three are (N, C, S, S); `target` is 0 or 1, `weight` is 0 where nothing is known.
    Channels count alike, as they do in the validation score: a heart that one film of four shows
    is not drowned by the lungs of all four. Zero, with a gradient of zero, where nothing at all
    is labelled. Where the known pixels hold
    none of the structure, Dice is left out: smoothed, it would punish the last few false pixels
    thousands of times harder than it rewards a true one, and teach the network to stay silent.
    """
    area = weight.sum(dim=(2, 3))  # (N, C)
    known = (area > 0).float()
    every = F.binary_cross_entropy_with_logits(logits, target, weight=weight, reduction="none")
    entropy = every.sum(dim=(2, 3)) / area.clamp(min=1)
    likely = torch.sigmoid(logits) * weight
    truth = target * weight
    overlap = (likely * truth).sum(dim=(2, 3))
    total = likely.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    present = (truth.sum(dim=(2, 3)) > 0).float()
    missed = (1 - (2 * overlap + SMOOTH) / (total + SMOOTH)) * present
    films = known.sum(dim=0)  # (C,)
    per_channel = ((entropy + missed) * known).sum(dim=0) / films.clamp(min=1)
    return per_channel.sum() / (films > 0).sum().clamp(min=1)


def supervise(
    heads: Sequence[Tensor], target: Tensor, weight: Tensor, shares: Sequence[float] = ()
) -> Tensor:
    """Deep supervision: the mean of `bce_dice` over the heads, in proportion to `shares`.

    Without shares all heads count alike, as in Zhou et al. 2018, section 3.2. The early heads read
    the same finest row as the last one, and hold it to what serves them.
    """
    counted = shares or [1.0] * len(heads)
    each = [
        share * bce_dice(head.float(), target, weight)
        for head, share in zip(heads, counted, strict=True)
    ]
    return torch.stack(each).sum() / sum(counted)
