"""A stage of a training run: epochs with their own side, learning rate and augmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pleura.core.errors import UsageError
from pleura.lab.train.recipe.augment import Augment

__all__ = ["Stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of a run with settings of its own, in a table `[[stages]]`.

    The first stage begins with the run, and each other one follows the one before. After the last
    stage, and where a stage does not name a setting, the recipe's own settings apply.
    """

    epochs: int
    """The number of epochs of the stage."""

    side: int = 0
    """Side of the squares, px, at most the recipe's; 0 is the recipe's. On small squares the
    network learns most in a fraction of the time. With `small_side` every second batch is smaller
    in the same proportion. Validation always uses the recipe's."""

    learning_rate: float = 0.0
    """The highest learning rate; 0 is the recipe's. The schedule still has the length of the run:
    its rates are multiplied in the stage."""

    augment: Augment | None = None
    """A table `[stages.augment]`, with those keys of `[augment]` that have another value."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("side", 0), ("learning_rate", 0)):
            if not least <= getattr(self, name) < math.inf:
                raise UsageError(
                    f"{name} of a stage must be {least} or more, got {getattr(self, name)}"
                )
