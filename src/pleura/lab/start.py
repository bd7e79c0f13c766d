"""The network a run starts from: fresh, shipped, fine-tuned, or with a public encoder."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from pleura.core.errors import UsageError
from pleura.lab.recipe import Recipe
from pleura.net.checkpoint import from_safetensors, transfer
from pleura.net.encoder_weights import load_encoder
from pleura.net.unetplusplus import UNet, UNetPlusPlus, build
from pleura.runtime.open import SAFETENSORS, shipped

__all__ = ["fresh_network"]

log = logging.getLogger(__name__)


def fresh_network(recipe: Recipe) -> UNetPlusPlus | UNet:
    """Build the recipe's network and give it the start the recipe names.

    The same recipe gives the same numbers, whatever else the process has drawn. Raises
    `UsageError` if the weights to start from are of another network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build(recipe.network)
    if recipe.encoder_weights != "none":
        load_encoder(network, recipe.encoder_weights)
    if recipe.init:
        _start_from(network, recipe)
    return network


def _start_from(network: UNetPlusPlus | UNet, recipe: Recipe) -> None:
    given = shipped(SAFETENSORS) if recipe.init == "shipped" else Path(recipe.init)
    source, card = from_safetensors(given)
    fresh = transfer(source, network)
    # Heads belong to the channels, which may be others; all else must come from the weights.
    other = [name for name in fresh if not name.startswith("head.")]
    if other:
        theirs, ours = source.architecture.as_dict(), network.architecture.as_dict()
        differing = [f"{k} {theirs[k]}, not {ours[k]}" for k in ours if theirs[k] != ours[k]]
        raise UsageError(
            f"the weights {card.name} do not fit this network ({other[0]} and "
            f"{len(other) - 1} more are others); take their [network] table: "
            f"{'; '.join(differing)}"
        )
    log.info(
        "starts from %s; %s", card.name, f"fresh: {', '.join(fresh)}" if fresh else "all of it"
    )
