"""Reading and writing weights as .safetensors files, which contain the card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build

__all__ = ["from_safetensors", "to_safetensors", "transfer", "transfer_heads"]

PARTS = {
    "field": ("right_field", "left_field"),
    "whole": ("right_whole", "left_whole"),
}
"""Channel of both lungs -> the channels of the right and the left lung."""

JOINED_BIAS = 20.0
"""Added to the sum of the logits of the right and the left lung, to give a logit of both. With the
shipped weights the sum is about -15 in a lung and -24 outside. It is a start to train from."""


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


def transfer_heads(
    source: UNetPlusPlus | UNet,
    network: UNetPlusPlus | UNet,
    *,
    theirs: Sequence[str],
    ours: Sequence[str],
) -> list[str]:
    """Copy the rows of the heads by the names of their channels; returns those without a copy.

    The channel of both lungs starts from those of the right and the left lung together, and each of
    these from the channel of both. `theirs` and `ours` are the channels of both networks, in order.
    """
    given = source.state_dict()
    state = network.state_dict()
    parts = network.architecture.fold**2  # rows of a channel, side by side
    if source.architecture.fold != network.architecture.fold:
        return list(ours)
    for name, value in state.items():
        if not name.startswith("head.") or name not in given:
            continue
        rows = given[name].view(len(theirs), parts, -1)
        own = value.view(len(ours), parts, -1)
        if rows.shape[-1] != own.shape[-1]:
            return list(ours)
        for index, channel in enumerate(ours):
            row = _row(rows, theirs, channel, joined_bias=JOINED_BIAS * name.endswith("bias"))
            if row is not None:
                own[index] = row
    with torch.no_grad():
        network.load_state_dict(state)
    return [channel for channel in ours if not _origin(channel, theirs)]


def _origin(channel: str, theirs: Sequence[str]) -> tuple[str, ...]:
    """The channels of the source that `channel` starts from; empty for none."""
    if channel in theirs:
        return (channel,)
    if channel in PARTS and set(PARTS[channel]) <= set(theirs):
        return PARTS[channel]
    return tuple(both for both, parts in PARTS.items() if channel in parts and both in theirs)


def _row(rows: Tensor, theirs: Sequence[str], channel: str, *, joined_bias: float) -> Tensor | None:
    """The row for `channel` of the source's rows (C, parts, inputs); None if there is none."""
    origin = [rows[theirs.index(name)] for name in _origin(channel, theirs)]
    if not origin:
        return None
    return origin[0] if len(origin) == 1 else origin[0] + origin[1] + joined_bias


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
