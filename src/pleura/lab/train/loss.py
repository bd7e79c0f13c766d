"""The loss of a training step: cross-entropy and Dice over the heads of the network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bce_dice", "supervise"]

SMOOTH = 1.0
"""Added to numerator and denominator of the Dice, in pixels, so that small targets have a
gradient."""


def bce_dice(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy + (1 - Dice): the mean over the films of each channel, then over the channels.

    All three are (N, C, S, S); `target` is 0 or 1, `weight` is 0 where the label is unknown.
    Channels have equal weight, as in the validation score: a heart that is labelled on one of four
    films counts as much as the lungs of all four. Without any label the loss and its gradient are
    zero. If no labelled pixel belongs to the structure, the Dice is left out. Its gradient for the
    few remaining false positive pixels would be thousands of times larger than that for a true
    pixel, and the network would learn to predict nothing.
    """
    area = weight.sum(dim=(2, 3))  # (N, C)
    known = (area > 0).float()
    losses = F.binary_cross_entropy_with_logits(logits, target, weight=weight, reduction="none")
    entropy = losses.sum(dim=(2, 3)) / area.clamp(min=1)
    probabilities = torch.sigmoid(logits) * weight
    truth = target * weight
    overlap = (probabilities * truth).sum(dim=(2, 3))
    total = probabilities.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    present = (truth.sum(dim=(2, 3)) > 0).float()
    dice_loss = (1 - (2 * overlap + SMOOTH) / (total + SMOOTH)) * present
    films = known.sum(dim=0)  # (C,)
    per_channel = ((entropy + dice_loss) * known).sum(dim=0) / films.clamp(min=1)
    return per_channel.sum() / (films > 0).sum().clamp(min=1)


def supervise(
    heads: Sequence[Tensor], target: Tensor, weight: Tensor, shares: Sequence[float] = ()
) -> Tensor:
    """Deep supervision: the mean of `bce_dice` over the heads, in proportion to `shares`.

    Without shares all heads have the same weight, as in Zhou et al. 2018, section 3.2. The early
    heads use the same finest row of nodes as the last head, and constrain its features.
    """
    weights = shares or [1.0] * len(heads)
    losses = [
        share * bce_dice(head.float(), target, weight)
        for head, share in zip(heads, weights, strict=True)
    ]
    return torch.stack(losses).sum() / sum(weights)
