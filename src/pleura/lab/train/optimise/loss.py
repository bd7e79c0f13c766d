"""The loss of a training step over the heads of the network: the usual one, and a robust one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

__all__ = ["LOSSES", "Loss", "bce_dice", "robust", "supervise"]

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(logits, target, weight), all (N, C, S, S) -> the loss, a number."""

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
    return _mean(entropy + dice_loss, known)


CROSS_ENTROPY_POWER = 0.7
"""The power q of the generalised cross-entropy, as in Zhang and Sabuncu 2018; near 0 it is the
cross-entropy, at 1 the absolute error."""

DICE_POWER = 1.5
"""The power of the noise-robust Dice, as in Wang et al. 2020; 2 is a Dice of squares, 1 the
absolute error."""


def robust(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """A loss for masks of which some are wrong; shapes and means are those of `bce_dice`.

    The generalised cross-entropy (1 - p ** q) / q of the labelled class (Zhang and Sabuncu 2018,
    arXiv:1805.07836) and the noise-robust Dice (Wang et al. 2020, doi:10.1109/TMI.2020.3000314).
    The cross-entropy of a wrong label grows without limit as the network becomes sure of the
    right one, so wrong labels dominate the gradient late in training; both terms here are
    bounded. Unlike trimming of the largest losses, they need no estimate of the share of wrong
    pixels, and do not drop the pixels that are difficult and right, such as those of opaque
    lungs.
    """
    area = weight.sum(dim=(2, 3))
    log_likelihood = F.logsigmoid(torch.where(target > 0, logits, -logits))
    q = CROSS_ENTROPY_POWER
    losses = (1 - torch.exp(q * log_likelihood)) / q * weight
    entropy = losses.sum(dim=(2, 3)) / area.clamp(min=1)
    probabilities = torch.sigmoid(logits)
    distance = ((probabilities - target).abs() ** DICE_POWER * weight).sum(dim=(2, 3))
    total = ((probabilities**2 + target**2) * weight).sum(dim=(2, 3))
    present = ((target * weight).sum(dim=(2, 3)) > 0).float()
    return _mean(entropy + distance / (total + SMOOTH) * present, (area > 0).float())


def _mean(losses: Tensor, known: Tensor) -> Tensor:
    """(N, C) losses -> their mean over the films with a label, and then over the channels.

    The films are those of all processes. The mean of what the processes return is the loss.
    """
    films, processes = _of_all_processes(known.sum(dim=0))  # (C,)
    per_channel = (losses * known).sum(dim=0) / films.clamp(min=1)
    return processes * per_channel.sum() / (films > 0).sum().clamp(min=1)


def _of_all_processes(counts: Tensor) -> tuple[Tensor, int]:
    """The sum of `counts` over the processes of a run, and their number."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return counts, 1
    distributed.all_reduce(counts)
    return counts, distributed.get_world_size()


LOSSES: dict[str, Loss] = {"bce-dice": bce_dice, "robust": robust}
"""The losses by the name that a recipe gives."""


def supervise(
    heads: Sequence[Tensor],
    target: Tensor,
    weight: Tensor,
    shares: Sequence[float] = (),
    loss: Loss = bce_dice,
) -> Tensor:
    """Deep supervision: the mean of the loss over the heads, in proportion to `shares`.

    Without shares all heads have the same weight, as in Zhou et al. 2018, section 3.2. The early
    heads use the same finest row of nodes as the last head, and constrain its features.
    """
    weights = shares or [1.0] * len(heads)
    losses = [
        share * loss(head.float(), target, weight)
        for head, share in zip(heads, weights, strict=True)
    ]
    return torch.stack(losses).sum() / sum(weights)
