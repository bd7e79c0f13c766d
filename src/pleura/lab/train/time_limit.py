"""Fitting a run into a time limit: the time of an epoch, and a recipe with as many epochs as fit.

A schedule that is cut off leaves weights that were trained with high learning rates to the end. So
a run that starts with a time limit is shortened before its first epoch: the schedule is complete,
and the stages keep their proportions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import accumulate, pairwise

import lightning as L
import torch

from pleura.lab.train.callbacks import Stopwatch
from pleura.lab.train.dataset import Loaders
from pleura.lab.train.machine import Machine
from pleura.lab.train.module import Learner, fresh_network
from pleura.lab.train.recipe import Recipe, Stage

__all__ = ["shortened", "within_time"]

log = logging.getLogger(__name__)

MEASURED_BATCHES = 6
"""Batches of each side that are measured, the first two of them to warm up."""

MARGIN = 0.9
"""The share of the time that the epochs may take by the measurement."""


def within_time(recipe: Recipe, loaders: Loaders, machine: Machine, left_s: float) -> Recipe:
    """The recipe with as many epochs as fit into the time; at least one, at most its own.

    A few batches are measured, with a network that is then discarded. The recipe is not changed if
    its learning rate is constant, since it can end at any time, or if there are several devices.
    """
    if machine.devices > 1 or recipe.schedule == "constant":
        why = "its learning rate is constant" if machine.devices == 1 else "it has several devices"
        log.info("the run is not shortened to the time limit, because %s", why)
        return recipe
    sides = dict.fromkeys(recipe.at(epoch).side for epoch in range(recipe.epochs))
    seconds, spent_s = {}, 0.0
    for side in sides:
        seconds[side], batches_s = _epoch_s(recipe, loaders, machine, side)
        spent_s += batches_s
    epochs = _most_epochs(recipe, MARGIN * (left_s - spent_s), seconds.__getitem__)
    if epochs < recipe.epochs:
        log.info(
            "%d of %d epochs fit into %s, measured on a few batches: the run is shortened to them, "
            "with a complete schedule. To keep all epochs, start with --resume: the run then stops "
            "at the limit and can be continued",
            *(epochs, recipe.epochs, timedelta(seconds=round(left_s))),
        )
    return shortened(recipe, epochs)


def shortened(recipe: Recipe, epochs: int) -> Recipe:
    """The recipe with fewer epochs, and its stages in proportion; a stage may vanish."""
    if epochs >= recipe.epochs:
        return recipe
    share = epochs / recipe.epochs
    ends = [0, *(round(share * end) for end in accumulate(stage.epochs for stage in recipe.stages))]
    lengths = [end - begin for begin, end in pairwise(ends)]
    stages = [
        replace(stage, epochs=length)
        for stage, length in zip(recipe.stages, lengths, strict=True)
        if length
    ]
    return replace(recipe, epochs=epochs, stages=tuple(stages))


def _most_epochs(recipe: Recipe, left_s: float, epoch_s: Callable[[int], float]) -> int:
    for epochs in range(recipe.epochs, 1, -1):
        part = shortened(recipe, epochs)
        if sum(epoch_s(part.at(epoch).side) for epoch in range(epochs)) <= left_s:
            return epochs
    return 1


def _epoch_s(recipe: Recipe, loaders: Loaders, machine: Machine, side: int) -> tuple[float, float]:
    """(time of an epoch at a side by a few batches, time of these batches), s."""
    recipe = replace(recipe, epochs=1, stages=(Stage(epochs=1, side=side),), ema_decay=0.0)
    training, validation = loaders.training(recipe), loaders.validation(recipe)
    watch = Stopwatch()
    trainer = L.Trainer(
        accelerator=machine.device,
        devices=1,
        precision=machine.resolved_precision,  # type: ignore[arg-type]
        max_epochs=1,
        limit_train_batches=min(MEASURED_BATCHES, len(training)),
        limit_val_batches=min(MEASURED_BATCHES, len(validation)),
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )
    with torch.random.fork_rng(devices=[]):
        trainer.fit(Learner(fresh_network(recipe), recipe, len(training)), training, validation)
    train_s, check_s = watch.batch_s("training"), watch.batch_s("validation")
    times = [time for part in watch.times_s.values() for time in part]
    return len(training) * train_s + len(validation) * check_s, max(times) - min(times)
