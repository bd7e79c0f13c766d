"""The learning rate of each step of a run: schedule, warm-up and stages of the recipe."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from pleura.lab.train.recipe import Recipe

__all__ = ["schedule"]

WARM_UP = 0.15
"""The share of a one-cycle schedule in which the learning rate rises (Smith and Topin 2018)."""

Parts = list[tuple[int, float]]
"""For each stage and the rest: the step at which it ends, and the factor of its rates."""


def schedule(
    optimiser: Optimizer, recipe: Recipe, total_steps: int, *, first_epoch: int = 0
) -> LRScheduler | None:
    """The schedule of `total_steps` steps that begin with `first_epoch`; None if it is constant.

    An extension of a finished run begins with a later epoch than 0.
    """
    parts = _parts(recipe, total_steps, first_epoch)
    if recipe.schedule == "one-cycle":
        cycle = _StagedOneCycle if parts else OneCycleLR
        more: dict[str, Any] = {"parts": parts} if parts else {}
        return cycle(
            optimiser, recipe.learning_rate, total_steps=total_steps, pct_start=WARM_UP, **more
        )
    if parts or recipe.warm_up:
        rise = round(recipe.warm_up * total_steps)
        rise = max(1, rise) if recipe.warm_up else 0
        return LambdaLR(
            optimiser,
            lambda step: _factor(parts, step) * _shape(recipe.schedule, step, rise, total_steps),
        )
    return None if recipe.schedule == "constant" else CosineAnnealingLR(optimiser, total_steps)


class _StagedOneCycle(OneCycleLR):
    """One cycle whose rates are multiplied in each part of the run."""

    def __init__(self, *given: Any, parts: Parts, **more: Any) -> None:
        self.parts = parts
        super().__init__(*given, **more)

    def get_lr(self) -> list[Any]:
        """The rates of the next step."""
        factor = _factor(self.parts, self.last_epoch)
        return [rate * factor for rate in super().get_lr()]


def _parts(recipe: Recipe, total_steps: int, first_epoch: int) -> Parts:
    """The parts of a run, or none if all have the rate of the recipe."""
    if not any(stage.learning_rate for stage in recipe.stages):
        return []
    steps = total_steps // (recipe.epochs - first_epoch)
    ends = accumulate(stage.epochs for stage in recipe.stages)
    rates = [(stage.learning_rate or recipe.learning_rate) for stage in recipe.stages]
    return [
        ((end - first_epoch) * steps, rate / recipe.learning_rate)
        for end, rate in zip(ends, rates, strict=True)
    ]


def _factor(parts: Parts, step: int) -> float:
    return next((factor for end, factor in parts if step < end), 1.0)


def _shape(kind: str, step: int, rise: int, total_steps: int) -> float:
    """The share of the highest rate in a step: a linear rise of `rise` steps, then the schedule."""
    if step < rise:
        return (step + 1) / rise
    if kind == "constant":
        return 1.0
    return (1 + math.cos(math.pi * (step - rise) / max(1, total_steps - rise))) / 2
