"""Weights as safetensors with their card inside: what fine-tuning starts from."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build

__all__ = ["from_safetensors", "to_safetensors", "transfer"]


def to_safetensors(network: nn.Module, card: Card) -> bytes:
    """The network's numbers and its card, in one file."""
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    return save(state, metadata={CARD_KEY: card.to_json()})


def from_safetensors(path: Path) -> tuple[UNetPlusPlus | UNet, Card]:
    """The network of a .safetensors file, in evaluation mode, and its card.

    Raises `WeightsError` if the file is missing, damaged, or made by something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(CARD_KEY)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: not a readable .safetensors file ({error})") from error
    if text is None:
        raise WeightsError(f"{path}: holds no card; export it with `pleura export`")
    card = Card.from_json(text)
    try:
        network = build(Architecture(**card.architecture))
        network.load_state_dict(state)
    except (TypeError, UsageError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: its numbers do not fit its own card ({error}); export it again"
        ) from error
    return network.eval(), card


def transfer(source: nn.Module, network: nn.Module) -> list[str]:
    """Copy every tensor that has the same name and shape; return the names that stay fresh."""
    given = source.state_dict()
    own: dict[str, Tensor] = network.state_dict()
    fits = {n: given[n] for n, value in own.items() if n in given and given[n].shape == value.shape}
    with torch.no_grad():
        network.load_state_dict({**own, **fits})
    return [name for name in own if name not in fits]
