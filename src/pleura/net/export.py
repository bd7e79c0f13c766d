"""From torch to the one file that ships: an ONNX graph with its card inside."""

from __future__ import annotations

import copy
import logging
import warnings

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from pleura.core.card import CARD_KEY, Card
from pleura.core.errors import WeightsError
from pleura.net.quiet import quiet
from pleura.net.unetplusplus import Head, UNet, UNetPlusPlus

__all__ = ["Probabilities", "to_onnx", "with_card", "with_temperature"]

DIVISOR = "temperature"
"""Names the number in the graph that divides the logits."""

_CHATTY = ("torch.onnx", "onnxscript", "onnx_ir")

OPSET = 18
"""Old enough for every engine of the last years, new enough for all we use."""


class Probabilities(nn.Module):
    """The answer of the last head, as probabilities: (N, 1, S, S) -> (N, C, S, S)."""

    def __init__(self, network: UNetPlusPlus | UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Sigmoid over the last head's logits."""
        return torch.sigmoid(self.network(image)[-1])


def to_onnx(network: UNetPlusPlus | UNet, card: Card) -> bytes:
    """One ONNX file: input `image` (N, 1, S, S), output `probabilities` (N, C, S, S), N free.

    Only what the last head needs is in the graph; batch normalisation is folded into the
    convolutions by the engines. The card lies in the metadata.
    """
    was_training = network.training
    graph = Probabilities(_with_plain_heads(network)).eval()
    example = torch.zeros(2, 1, card.side, card.side)
    with warnings.catch_warnings(), quiet(*_CHATTY, below=logging.ERROR):
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            graph,
            (example,),
            input_names=["image"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("films", min=1, max=1024)},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    network.train(was_training)
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return _carrying(_without_traces(program.model_proto), card)


def _with_plain_heads(network: UNetPlusPlus | UNet) -> UNetPlusPlus | UNet:
    """A copy whose heads are single convolutions."""
    twin = copy.deepcopy(network)
    for parent in list(twin.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, Head):
                setattr(parent, name, part.plain())
    return twin


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without the exporter's notes, which hold stack traces and paths of this machine."""
    graph = model.graph
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del noted.metadata_props[:]
    return model


def with_card(weights: bytes, card: Card) -> bytes:
    """The ONNX file `weights` with another card; its graph stays as it is."""
    return _carrying(onnx.load_model_from_string(weights), card)


def with_temperature(weights: bytes, card: Card) -> bytes:
    """The ONNX file `weights` with `card`, its logits divided by the card's temperature.

    A temperature that was there before is replaced. In the graph it costs nothing; as arithmetic
    on probabilities it would cost a fifth of the network's time.

    Raises:
        WeightsError: the graph does not end with a sigmoid.
    """
    model = onnx.load_model_from_string(weights)
    graph = model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    last = made_by.get(graph.output[0].name)
    if last is None or last.op_type != "Sigmoid":
        raise WeightsError(
            "these weights do not end with a sigmoid, so no temperature can divide their logits; "
            "take a file that `pleura export` wrote"
        )
    value = onnx.numpy_helper.from_array(np.array(card.temperature, np.float32), DIVISOR)
    for each in graph.initializer:
        if each.name == DIVISOR:
            each.CopyFrom(value)
            return _carrying(model, card)
    graph.initializer.append(value)
    divided = onnx.helper.make_node("Div", [last.input[0], DIVISOR], ["tempered_logits"])
    graph.node.insert(list(graph.node).index(last), divided)
    last.input[0] = "tempered_logits"
    return _carrying(model, card)


def _carrying(model: onnx.ModelProto, card: Card) -> bytes:
    told = {each.key: each.value for each in model.metadata_props} | {CARD_KEY: card.to_json()}
    onnx.helper.set_model_props(model, told)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
