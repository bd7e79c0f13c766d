"""Reading and writing weights as .safetensors files, which contain the card."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build

__all__ = ["from_safetensors", "to_safetensors", "transfer"]


def to_safetensors(network: nn.Module, card: Card) -> bytes:
    """The bytes of a .safetensors file with the network's tensors and its card."""
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    return save(state, metadata={CARD_KEY: card.to_json()})


def from_safetensors(source: Path | bytes) -> tuple[UNetPlusPlus | UNet, Card]:
    """The network of a .safetensors file (or of its bytes), in evaluation mode, and its card.

    Raises `WeightsError` if the file is missing or damaged, or Pleura did not write it.
    """
    where = "these weights" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        state = load(data)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{where}: not a readable .safetensors file ({error})") from error
    text = _metadata(data).get(CARD_KEY)
    if text is None:
        raise WeightsError(f"{where}: no card inside; export it with `pleura export`")
    card = Card.from_json(text)
    try:
        network = build(Architecture(**card.architecture))
        network.load_state_dict(state)
    except (TypeError, UsageError, RuntimeError) as error:
        raise WeightsError(
            f"{where}: the tensors do not fit their own card ({error}); export it again"
        ) from error
    return network.eval(), card


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a .safetensors file: its header is 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return metadata


def transfer(source: nn.Module, network: nn.Module) -> list[str]:
    """Copy all tensors of the same name and shape; returns the names that were not copied."""
    available = source.state_dict()
    own: dict[str, Tensor] = network.state_dict()
    fits = {
        name: available[name]
        for name, value in own.items()
        if name in available and available[name].shape == value.shape
    }
    with torch.no_grad():
        network.load_state_dict({**own, **fits})
    return [name for name in own if name not in fits]
