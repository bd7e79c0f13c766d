"""Exporting a torch network to ONNX, with its card in the file."""

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
from pleura.net.graph_state import with_state
from pleura.net.quiet import quiet
from pleura.net.unetplusplus import Head, UNet, UNetPlusPlus

__all__ = ["Probabilities", "to_onnx", "with_card", "with_temperature"]

TEMPERATURE = "temperature"
"""The name of the constant in the graph that divides the logits."""

_EXPORTER_LOGGERS = ("torch.onnx", "onnxscript", "onnx_ir")

OPSET = 18
"""The ONNX opset. All current engines read it, and it has all operators that are used here."""


class Probabilities(nn.Module):
    """The network with a sigmoid on its last head: (N, 1, S, S) -> (N, C, S, S)."""

    def __init__(self, network: UNetPlusPlus | UNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """The probabilities of the last head."""
        return torch.sigmoid(self.network(image)[-1])


def to_onnx(network: UNetPlusPlus | UNet, card: Card) -> bytes:
    """One ONNX file: input `image` (N, 1, S, S), output `probabilities` (N, C, S, S), any N.

    The graph has only the nodes that the last head needs. The engines fold batch normalisation
    into the convolutions. The card is in the metadata, and so are the tensors that only training
    needs: `read_network` reads the same network back.
    """
    was_training = network.training
    graph = Probabilities(_with_plain_heads(network)).eval()
    example = torch.zeros(2, 1, card.side, card.side)
    with warnings.catch_warnings(), quiet(*_EXPORTER_LOGGERS, below=logging.ERROR):
        warnings.simplefilter("ignore")  # warnings about the exporter's own code
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
    model = with_state(_without_traces(program.model_proto), network)
    return _with_metadata(model, card)


def _with_plain_heads(network: UNetPlusPlus | UNet) -> UNetPlusPlus | UNet:
    """A copy whose heads are single convolutions."""
    copied = copy.deepcopy(network)
    for parent in list(copied.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, Head):
                setattr(parent, name, part.plain())
    return copied


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without the exporter's metadata, which contains stack traces and paths."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
    return model


def with_card(weights: bytes, card: Card) -> bytes:
    """The ONNX file `weights` with another card and the same graph."""
    return _with_metadata(onnx.load_model_from_string(weights), card)


def with_temperature(weights: bytes, card: Card) -> bytes:
    """The ONNX file `weights` with `card`, its logits divided by the card's temperature.

    It replaces an earlier temperature. A division in the graph takes no measurable time. Arithmetic
    on the probabilities would take a fifth of the network's time.

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
    value = onnx.numpy_helper.from_array(np.array(card.temperature, np.float32), TEMPERATURE)
    for constant in graph.initializer:
        if constant.name == TEMPERATURE:
            constant.CopyFrom(value)
            return _with_metadata(model, card)
    graph.initializer.append(value)
    divided = onnx.helper.make_node("Div", [last.input[0], TEMPERATURE], ["tempered_logits"])
    graph.node.insert(list(graph.node).index(last), divided)
    last.input[0] = "tempered_logits"
    return _with_metadata(model, card)


def _with_metadata(model: onnx.ModelProto, card: Card) -> bytes:
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {CARD_KEY: card.to_json()})
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
