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
from pleura.runtime.weights import shipped_safetensors

__all__ = ["fresh_network"]

log = logging.getLogger(__name__)


def fresh_network(recipe: Recipe) -> UNetPlusPlus | UNet:
    """Build the recipe's network and give it the start the recipe names.

    The same recipe gives the same numbers, whatever else the process has drawn. Raises
    `UsageError` if nothing of the weights to start from fits.
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
    given = shipped_safetensors() if recipe.init == "shipped" else Path(recipe.init)
    source, card = from_safetensors(given)
    fresh = transfer(source, network)
    total = len(network.state_dict())
    if len(fresh) == total:
        raise UsageError(
            f"nothing in {card.name} fits this network: its widths are "
            f"{card.architecture.get('widths')}, yours {list(recipe.network.widths)}; "
            "take the same [network] table"
        )
    log.info("starts from %s: %d of %d tensors taken", card.name, total - len(fresh), total)
