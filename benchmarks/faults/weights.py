"""Weights of a network that is small enough to work out by hand."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from pleura.core.card import CARD_KEY, Card

SIDE = 64


def dark_is_lung(*, level: float = 0.5) -> bytes:
    """The bytes of such weights; what is darker than `level` is lung, at -1 nothing is."""
    shape = ["films", 1, SIDE, SIDE]
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["level", "image"], ["dark"]),
            helper.make_node("Mul", ["dark", "steep"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probabilities"]),
        ],
        "dark-is-lung",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor("level", TensorProto.FLOAT, [], [level]),
            helper.make_tensor("steep", TensorProto.FLOAT, [], [20.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    card = Card(name="tiny", version="0.1.0", channels=("field",), side=SIDE)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
