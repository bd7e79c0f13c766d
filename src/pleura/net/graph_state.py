"""All tensors of a network in its ONNX file, so that training can continue from that file."""

from __future__ import annotations

import base64

import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import load, save
from torch import Tensor, nn

from pleura.core.errors import WeightsError
from pleura.net.batch_norm import PREFIX, separate

__all__ = ["STATE_KEY", "state_of", "with_state"]

STATE_KEY = "pleura_state"
"""The metadata key of the tensors that the graph does not compute with, as safetensors in base 64:
the earlier heads, the last head before its filter, and the count of batches."""


def with_state(model: onnx.ModelProto, network: nn.Module) -> onnx.ModelProto:
    """Add what the exported graph lacks of the tensors of `network`, in place."""
    separate(model, network)
    in_graph = _tensors(model)
    missing = {
        name: value.detach().cpu().contiguous()
        for name, value in network.state_dict().items()
        if name not in in_graph or not torch.equal(in_graph[name], value)
    }
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    text = base64.b64encode(save(missing)).decode("ascii")
    onnx.helper.set_model_props(model, metadata | {STATE_KEY: text})
    return model


def state_of(model: onnx.ModelProto) -> dict[str, Tensor]:
    """The tensors of the graph's network by name, the fixed mean and deviation of films too.

    Raises:
        WeightsError: the file has only what segmenting needs.
    """
    text = {entry.key: entry.value for entry in model.metadata_props}.get(STATE_KEY)
    if text is None:
        raise WeightsError(
            "these weights can only segment: an int8 graph, or one of an earlier version, lacks "
            "tensors that training needs; take the fp32 file that `pleura export` wrote"
        )
    return {**_tensors(model), **load(base64.b64decode(text))}


def _tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    return {
        constant.name.removeprefix(PREFIX): torch.from_numpy(numpy_helper.to_array(constant).copy())
        for constant in model.graph.initializer
        if constant.name.startswith(PREFIX)
    }
