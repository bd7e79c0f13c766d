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

__all__ = ["joined_bias", "read_network", "transfer", "transfer_heads"]

PARTS = {
    "field": ("right_field", "left_field"),
    "whole": ("right_whole", "left_whole"),
}
"""Channel of both lungs -> the channels of the right and the left lung."""

BORDER = 0.01
"""The share of the pixels that are taken as the border of the lungs: those whose larger logit, of
the right and the left lung, is nearest to zero."""


def read_network(
    source: Path | bytes, *, name: str = "these weights"
) -> tuple[UNetPlusPlus | UNet, Card]:
    """The network of an .onnx file (or of its bytes), in evaluation mode, and its card.

    `name` is what messages call the bytes.

    A .safetensors file of an earlier version is read too. The temperature and the reference values
    belong to the graph that was calibrated, so the card comes without them.

    Raises `WeightsError` if the file is missing or damaged, Pleura did not write it, or it is a
    graph that can only segment, such as an int8 one.
    """
    where = name if isinstance(source, bytes) else str(source)
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
    films: Tensor,
) -> list[str]:
    """Copy the rows of the heads by the names of their channels; returns those without a copy.

    The channel of both lungs starts from the sum of those of the right and the left lung, and each
    of these from the channel of both. `theirs` and `ours` are the channels of both networks, in
    order. `films`, (N, 1, S, S) in [0, 1], show the source lungs: the sum of the logits gets a bias
    that puts its border where those of the right and the left lung are.
    """
    given = source.state_dict()
    state = network.state_dict()
    parts = network.architecture.fold**2  # rows of a channel, side by side
    if source.architecture.fold != network.architecture.fold:
        return list(ours)
    joined = any(len(_origin(channel, theirs)) > 1 for channel in ours)
    logits = _logits_by_head(source, films) if joined else {}
    for name, value in state.items():
        if not name.startswith("head.") or name not in given:
            continue
        rows = given[name].view(len(theirs), parts, -1)
        own = value.view(len(ours), parts, -1)
        if rows.shape[-1] != own.shape[-1]:
            return list(ours)
        for index, channel in enumerate(ours):
            origin = [theirs.index(one) for one in _origin(channel, theirs)]
            if not origin:
                continue
            own[index] = rows[origin].sum(dim=0)
            head, _, kind = name.rpartition(".")
            if len(origin) > 1 and kind == "bias":
                own[index] += joined_bias(logits[head][:, origin])
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


def _logits_by_head(network: UNetPlusPlus | UNet, films: Tensor) -> dict[str, Tensor]:
    """The logits (N, C, S, S) of each head, by the name of its module."""
    heads = network.head
    names = [f"head.{key}" for key in heads] if isinstance(heads, nn.ModuleDict) else ["head"]
    with torch.no_grad():
        return dict(zip(names, network(films), strict=True))


def joined_bias(logits: Tensor) -> float:
    """What to add to the sum of logits (N, 2, S, S), to give a logit of both lungs.

    At the border of a lung, the larger logit is zero and the other one is that of the other lung.
    There the sum with the bias is zero too.
    """
    larger, total = logits.amax(dim=1).flatten(), logits.sum(dim=1).flatten()
    border = larger.abs().argsort()[: max(1, round(BORDER * len(larger)))]
    return -float(total[border].median())


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
