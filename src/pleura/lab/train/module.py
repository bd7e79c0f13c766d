"""The Lightning module: training step, validation step, loss, optimiser."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import lightning as L
import numpy as np
import torch
from torch import Tensor

from pleura.core.card import Card
from pleura.core.errors import UsageError, WeightsError
from pleura.core.frame import Frame, normalise
from pleura.lab.train.augment import resized
from pleura.lab.train.optimise.loss import LOSSES, supervise
from pleura.lab.train.optimise.schedule import schedule
from pleura.lab.train.recipe import Recipe
from pleura.net.checkpoint import read_network, transfer, transfer_heads
from pleura.net.encoder_weights import load_encoder
from pleura.net.unetplusplus import UNet, UNetPlusPlus, build
from pleura.phantom.film import draw
from pleura.runtime.open import shipped

__all__ = [
    "Learner",
    "dice_per_film",
    "fresh_network",
    "initial_network",
    "pinned",
    "side_of",
]


DRAWN_FILMS = 3
"""Synthetic films, on which the border of the lungs of weights is found; see `transfer_heads`."""

Batch = tuple[Tensor, Tensor, Tensor]
"""image (N, 1, S, S), target (N, C, S, S), weight (N, C, S, S)."""


def dice_per_film(probabilities: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(N, C) Dice at threshold 0.5 inside the labelled pixels; nan where nothing is labelled."""
    guess = (probabilities >= 0.5).float() * weight
    truth = target * weight
    total = guess.sum(dim=(2, 3)) + truth.sum(dim=(2, 3))
    dice = 2 * (guess * truth).sum(dim=(2, 3)) / total.clamp(min=1)
    return torch.where(total > 0, dice, torch.nan)


def side_of(recipe: Recipe, epoch: int, number: int) -> int:
    """Side of the squares of batch `number` of an epoch, both counted from 0, px."""
    side = recipe.at(epoch).side
    if not recipe.small_side or number % 2 == 0:
        return side
    if side == recipe.side:
        return recipe.small_side
    stride = recipe.network.stride
    return max(1, round(side * recipe.small_side / recipe.side / stride)) * stride


class Learner(L.LightningModule):
    """A network that is trained by a recipe."""

    def __init__(
        self,
        network: UNetPlusPlus | UNet,
        recipe: Recipe,
        total_steps: int,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.recipe, self.total_steps = network, recipe, total_steps
        self.validation: list[Tensor] = []
        self.facts: dict[str, Any] = facts or {}
        """Facts about the run, in plain values; stored in the checkpoint."""
        if recipe.freeze == "encoder":
            network.encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder always normalises with the averages it begins with."""
        super().train(mode)
        if self.recipe.freeze == "encoder":
            self.network.encoder.eval()
        return self

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """The loss of a batch: the mean of the losses of all heads."""
        side = side_of(self.recipe, self.current_epoch, number // self.recipe.accumulate)
        if side != batch[0].shape[-1]:
            batch = resized(batch, side)
        image, target, weight = batch
        loss = self._loss(self.network(image), target, weight)
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

    def _loss(self, heads: Sequence[Tensor], target: Tensor, weight: Tensor) -> Tensor:
        shares, loss = self.recipe.head_shares, LOSSES[self.recipe.loss]
        return supervise(heads, target, weight, shares, loss)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Score the last head on squares without augmentation."""
        image, target, weight = batch
        heads = self.network(image)
        self.log(
            "val_loss",
            self._loss(heads, target, weight),
            batch_size=len(image),
            sync_dist=True,
        )
        likely = torch.sigmoid(heads[-1].float())
        self.validation.append(dice_per_film(likely, target, weight))

    def on_validation_epoch_end(self) -> None:
        """Log the mean Dice over channels and films, which selects the best checkpoint."""
        scores = torch.cat(self.validation)
        self.validation.clear()
        # The films of all processes together: one process may have no film that labels a channel.
        gathered = self.all_gather(scores)
        assert isinstance(gathered, Tensor)
        scores = gathered.reshape(-1, scores.shape[-1])
        known = scores.nanmean(dim=0)
        for channel, score in zip(self.recipe.channels, known, strict=True):
            self.log(f"val_dice_{channel}", score, sync_dist=True)
        self.log("val_dice", known.nanmean(), prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW, with the recipe's schedule stepped after every batch."""
        recipe = self.recipe
        optimiser = torch.optim.AdamW(
            [parameter for parameter in self.parameters() if parameter.requires_grad],
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
        )
        first = max(self.facts.get("extended", ()), default=0)
        planned = schedule(optimiser, recipe, self.total_steps, first_epoch=first)
        if planned is None:
            return optimiser
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": planned, "interval": "step"}}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Begin a new schedule if a finished run is extended here."""
        before = checkpoint.get("pleura", {}).get("extended", [])
        if self.facts.get("extended", []) == before:
            return
        checkpoint["lr_schedulers"] = []
        for optimiser in checkpoint["optimizer_states"]:
            for group in optimiser["param_groups"]:
                group["lr"] = group.get("initial_lr", group["lr"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the facts about the run, and the validation Dice, in the checkpoint."""
        score = self.trainer.callback_metrics.get("val_dice")
        # It is nan if no pixel of the validation films is labelled.
        dice = None if score is None or math.isnan(score) else round(float(score), 5)
        checkpoint["pleura"] = {**self.facts, "val_dice": dice}


log = logging.getLogger(__name__)


def fresh_network(recipe: Recipe) -> UNetPlusPlus | UNet:
    """Build the recipe's network, and load the initial weights that the recipe names.

    The same recipe gives the same weights; other random numbers of the process do not matter.
    Raises `UsageError` if the weights to start from are of another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build(recipe.network)
    if recipe.encoder_weights != "none":
        load_encoder(network, recipe.encoder_weights)
    if recipe.init:
        _start_from(network, recipe)
    return network


def initial_weights(recipe: Recipe) -> bytes:
    """The bytes of the weights file that the recipe's `init` names.

    Raises `WeightsError` if it cannot be read, or if its SHA-256 is not the one that `init` names.
    """
    name, _, digest = recipe.init.partition("#sha256=")
    try:
        weights = shipped() if name == "shipped" else Path(name).read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{name}: the recipe starts from it, but it is not a readable weights file "
            f"({error.strerror})"
        ) from error
    actual = hashlib.sha256(weights).hexdigest()
    if digest and actual != digest.lower():
        raise WeightsError(
            f"{name}: its SHA-256 is {actual}, but the recipe starts from {digest}; take the file "
            "that the recipe names, or correct init"
        )
    return weights


def initial_network(recipe: Recipe) -> tuple[UNetPlusPlus | UNet, Card]:
    """The network and the card of the weights that the recipe's `init` names.

    Raises `WeightsError` if they cannot be read; the message names the file.
    """
    return read_network(initial_weights(recipe), name=recipe.init.partition("#")[0])


def pinned(recipe: Recipe) -> Recipe:
    """The recipe with the digest of its initial weights added to `init`."""
    if not recipe.init or "#sha256=" in recipe.init:
        return recipe
    digest = hashlib.sha256(initial_weights(recipe)).hexdigest()
    return replace(recipe, init=f"{recipe.init}#sha256={digest}")


def _drawn(side: int) -> Tensor:
    """Synthetic films, (N, 1, S, S) in [0, 1]: the network is built before the data is read."""
    films = (draw(512, 448, seed=seed).radiograph.pixels for seed in range(DRAWN_FILMS))
    squares = [normalise(Frame(film.shape[0], film.shape[1], side).fit(film)) for film in films]
    return torch.from_numpy(np.stack(squares))


def _start_from(network: UNetPlusPlus | UNet, recipe: Recipe) -> None:
    source, card = initial_network(recipe)
    fresh = transfer(source, network)
    # The channels may differ, and with them the heads; all other tensors must be in the weights.
    other = [name for name in fresh if not name.startswith("head.")]
    if other:
        theirs, ours = source.architecture.as_dict(), network.architecture.as_dict()
        differing = [
            f"{k} {theirs[k]}, not {ours[k]}"
            for k in ours
            if theirs[k] != ours[k] and k != "channels_out"
        ]
        raise UsageError(
            f"the weights {card.name} do not fit this network ({len(other)} parameters "
            f"differ, {other[0]} is the first); take their [network] table: "
            f"{'; '.join(differing)}"
        )
    new = transfer_heads(
        source, network, theirs=card.channels, ours=recipe.channels, films=_drawn(card.side)
    )
    heads = "all channels have its heads" if not new else f"new heads for {', '.join(new)}"
    log.info("starts from the weights %s; %s", card.name, heads)
