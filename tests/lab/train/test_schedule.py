"""The learning rate of each step: schedules, warm-up and stages."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from pleura.lab.train.optimise.schedule import schedule
from pleura.lab.train.recipe import Recipe, Stage

RECIPE = Recipe(name="a", learning_rate=0.1, epochs=5)


def rates(recipe: Recipe, steps: int, **more: Any) -> list[float]:
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], lr=recipe.learning_rate)
    planned = schedule(optimiser, recipe, steps, **more)
    seen = []
    for _ in range(steps):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if planned is not None:
            planned.step()
    return seen


def test_the_rate_rises_before_it_falls() -> None:
    found = rates(replace(RECIPE, schedule="cosine", warm_up=0.2), 10)
    # Two steps rise to 0.1; then 0.1 (1 + cos(pi k / 8)) / 2 for k = 0 to 7.
    assert found[:3] == pytest.approx([0.05, 0.1, 0.1])
    assert found[6] == pytest.approx(0.05)
    assert found[-1] == pytest.approx(0.1 * (1 + math.cos(math.pi * 7 / 8)) / 2)


@pytest.mark.parametrize("kind", ["one-cycle", "cosine", "constant"])
def test_a_stage_multiplies_the_rates_of_the_schedule(kind: Any) -> None:
    """Of five epochs of two steps the first has twice the rate, the next two a fifth."""
    plain = replace(RECIPE, schedule=kind)
    stages = (Stage(epochs=1, learning_rate=0.2), Stage(epochs=2, learning_rate=0.02))
    factors = [2.0] * 2 + [0.2] * 4 + [1.0] * 4
    expected = [rate * factor for rate, factor in zip(rates(plain, 10), factors, strict=True)]
    assert rates(replace(plain, stages=stages), 10) == pytest.approx(expected, rel=1e-9)


def test_an_extension_begins_within_the_stages() -> None:
    """Epochs 2 to 4 of five, in steps of one: the stage of three epochs has one of them."""
    stages = (Stage(epochs=3, learning_rate=0.2),)
    found = rates(replace(RECIPE, schedule="constant", stages=stages), 3, first_epoch=2)
    assert found == pytest.approx([0.2, 0.1, 0.1])


def test_a_stage_without_a_rate_leaves_the_schedule_as_it_is() -> None:
    staged = replace(RECIPE, stages=(Stage(epochs=2, side=256),))
    assert rates(staged, 10) == rates(RECIPE, 10)
