"""One training step and one validation step, as Lightning wants them."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.nn import functional as F

from pleura.lab.loss import supervise
from pleura.lab.recipe import Recipe
from pleura.net.unetplusplus import UNet, UNetPlusPlus

__all__ = ["Learner", "dice_per_film", "shrunk"]

WARM_UP = 0.15
"""Share of a one-cycle schedule in which the rate rises (Smith and Topin 2018)."""

Batch = tuple[Tensor, Tensor, Tensor]
"""image (N, 1, S, S), target (N, C, S, S), weight (N, C, S, S)."""


def dice_per_film(probabilities: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(N, C) Dice at threshold 0.5 inside the labelled pixels; nan where nothing is labelled."""
    guess = (probabilities >= 0.5).float() * weight
    truth = target * weight
    total = guess.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    dice = 2 * (guess * truth).sum(dim=(2, 3)) / total.clamp(min=1)
    return torch.where(total > 0, dice, torch.nan)


def shrunk(batch: Batch, side: int) -> Batch:
    """The batch at (side, side): greys by mean, targets by majority, known where all was known."""
    image, target, weight = (F.interpolate(each, (side, side), mode="area") for each in batch)
    return image, (target > 0.5).float(), (weight > 1 - 1e-4).float()


class Learner(L.LightningModule):
    """A network being trained after a recipe."""

    def __init__(self, network: UNetPlusPlus | UNet, recipe: Recipe, total_steps: int) -> None:
        super().__init__()
        self.network, self.recipe, self.total_steps = network, recipe, total_steps
        self.validation: list[Tensor] = []
        self.facts: dict[str, Any] = {}
        """What the checkpoint says of its making, in plain values."""

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Forward all heads; the loss is their mean."""
        if self.recipe.small_side and number % 2:
            batch = shrunk(batch, self.recipe.small_side)
        image, target, weight = batch
        loss = supervise(self.network(image), target, weight, self.recipe.head_shares)
        self.log(
            "loss",
            loss,
            prog_bar=True,
            on_step=True,
            on_epoch=True,
            batch_size=len(image),
            sync_dist=True,
        )
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Score the last head on squares that are not varied."""
        image, target, weight = batch
        heads = self.network(image)
        self.log(
            "val_loss",
            supervise(heads, target, weight, self.recipe.head_shares),
            batch_size=len(image),
            sync_dist=True,
        )
        likely = torch.sigmoid(heads[-1].float())
        self.validation.append(dice_per_film(likely, target, weight))

    def on_validation_epoch_end(self) -> None:
        """Mean over channels of the mean over films; selects the best checkpoint."""
        scores = torch.cat(self.validation)
        self.validation.clear()
        # Over the films of all processes, since one alone may have none with some channel.
        everyones = self.all_gather(scores)
        assert isinstance(everyones, Tensor)
        scores = everyones.reshape(-1, scores.shape[-1])
        known = scores.nanmean(dim=0)
        for channel, score in zip(self.recipe.channels, known, strict=True):
            self.log(f"val_dice_{channel}", score, sync_dist=True)
        self.log("val_dice", known.nanmean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW, with the recipe's schedule stepped after every batch."""
        recipe = self.recipe
        optimiser = torch.optim.AdamW(
            self.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        if recipe.schedule == "constant":
            return optimiser
        if recipe.schedule == "cosine":
            schedule: Any = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.total_steps)
        else:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimiser, recipe.learning_rate, total_steps=self.total_steps, pct_start=WARM_UP
            )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A checkpoint says how it was made, and how good it is."""
        score = self.trainer.callback_metrics.get("val_dice")
        dice = None if score is None else round(float(score), 5)
        checkpoint["pleura"] = {**self.facts, "val_dice": dice}
