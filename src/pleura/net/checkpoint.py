"""Reading networks back from weights files, and copying their tensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import UsageError, WeightsError
from pleura.net.graph_state import state_of
from pleura.net.unetplusplus import Architecture, UNet, UNetPlusPlus, build

__all__ = ["read_network", "transfer", "transfer_heads"]

PARTS = {
    "field": ("right_field", "left_field"),
    "whole": ("right_whole", "left_whole"),
}
"""Channel of both lungs -> the channels of the right and the left lung."""

JOINED_BIAS = 20.0
"""Added to the sum of the logits of the right and the left lung, to give a logit of both. With the
shipped weights the sum is about -15 in a lung and -24 outside. It is a start to train from."""


def read_network(source: Path | bytes) -> tuple[UNetPlusPlus | UNet, Card]:
    """The network of an .onnx file (or of its bytes), in evaluation mode, and its card.

    A .safetensors file of an earlier version is read too. The temperature and the reference values
    belong to the graph that was calibrated, so the card comes without them.

    Raises `WeightsError` if the file is missing or damaged, Pleura did not write it, or it is a
    graph that can only segment, such as an int8 one.
    """
    where = "these weights" if isinstance(source, bytes) else str(source)
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        text, state = _of_safetensors(data) if data[8:9] == b"{" else _of_onnx(data)
    except (OSError, SafetensorError, DecodeError) as error:
        raise WeightsError(f"{where}: not a readable weights file ({error})") from error
    except WeightsError as error:
        raise WeightsError(f"{where}: {error}") from error
    card = replace(Card.from_json(text), temperature=1.0, norms={})
    try:
        network = build(Architecture(**card.architecture))
        network.load_state_dict(_learned(state, network))
    except (TypeError, UsageError, RuntimeError) as error:
        raise WeightsError(
            f"{where}: the tensors do not fit their own card ({error}); export it again"
        ) from error
    return network.eval(), card


def _of_safetensors(data: bytes) -> tuple[str, dict[str, Tensor]]:
    """The card's text and the tensors; the header is 8 bytes of length, then JSON."""
    state = load(data)
    length = int.from_bytes(data[:8], "little")
    return _card_in(json.loads(data[8 : 8 + length]).get("__metadata__", {})), state


def _of_onnx(data: bytes) -> tuple[str, dict[str, Tensor]]:
    """The card's text and the tensors, without the graph's other constants."""
    model = onnx.load_model_from_string(data)
    if not model.graph.node:
        raise DecodeError("no graph in it")
    text = _card_in({entry.key: entry.value for entry in model.metadata_props})
    return text, state_of(model)


def _learned(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The tensors of `state` without the fixed ones of the network, which a graph contains too."""
    fixed = dict(network.named_buffers()).keys() - network.state_dict().keys()
    return {name: value for name, value in state.items() if name not in fixed}


def _card_in(metadata: dict[str, str]) -> str:
    if CARD_KEY not in metadata:
        raise WeightsError("no card inside; export it with `pleura export`")
    return metadata[CARD_KEY]


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
