"""An ONNX graph as the steps to 8 bits look at it: who makes a tensor, who reads it, its values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["SIDES", "Graph", "Values", "values_of"]

SIDES = (2, 3)
"""The axes of a tensor (N, C, H, W), and of a convolution's weights, that are not channels."""

Values: TypeAlias = NDArray[np.float32]


class Graph:
    """A model's nodes by what they make, its weights by name; what is written goes into it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.maker = {name: node for node in model.graph.node for name in node.output}
        self.stored = {each.name: each for each in model.graph.initializer}
        self.convolutions = [node for node in model.graph.node if node.op_type == "Conv"]

    def read(self, name: str) -> Values:
        """The weights of that name."""
        values: Values = numpy_helper.to_array(self.stored[name])
        return values

    def write(self, name: str, values: NDArray[np.floating]) -> None:
        """Put others in their place."""
        whole = np.ascontiguousarray(values, dtype=np.float32)
        self.stored[name].CopyFrom(numpy_helper.from_array(whole, name))

    def bias(self, node: onnx.NodeProto) -> Values:
        """(O,) of a convolution; zeros where it has none."""
        if len(node.input) > 2:
            return self.read(node.input[2])
        return np.zeros(len(self.read(node.input[1])), np.float32)

    def set_bias(self, node: onnx.NodeProto, values: NDArray[np.floating]) -> None:
        """Give a convolution another bias, or one where it had none."""
        if len(node.input) == 2:
            node.input.append(f"{node.name}_bias")
            added = self.model.graph.initializer.add()
            added.name = node.input[2]
            self.stored[added.name] = added
        self.write(node.input[2], values)

    def sources(self, tensor: str) -> Iterator[str]:
        """The tensors whose channels, one after the other, are the channels of `tensor`."""
        node = self.maker.get(tensor)
        if node is not None and node.op_type in ("MaxPool", "Concat"):
            for each in node.input:
                yield from self.sources(each)
        else:
            yield tensor

    def convolution_of(self, tensor: str) -> onnx.NodeProto | None:
        """The convolution that nothing but a ReLU or an unfolding, which gives `tensor`, reads."""
        node = self.maker.get(tensor)
        if node is None or node.op_type not in ("Relu", "DepthToSpace"):
            return None
        before = self.maker.get(node.input[0])
        alone = sum(node.input[0] in each.input for each in self.model.graph.node) == 1
        return before if alone and before is not None and before.op_type == "Conv" else None

    def channels(self, tensor: str) -> int:
        """How many such a tensor has; of a convolution that is unfolded, a quarter of its own."""
        convolution = self.convolution_of(tensor)
        assert convolution is not None
        unfolded = self.maker[tensor].op_type == "DepthToSpace"
        return len(self.read(convolution.input[1])) // (4 if unfolded else 1)

    def read_by_others(self, tensor: str) -> bool:
        """Whether anything but convolutions, pooling and concatenation sees `tensor`."""
        readers = [node for node in self.model.graph.node if tensor in node.input]
        passing = [node for node in readers if node.op_type in ("MaxPool", "Concat")]
        if tensor in (each.name for each in self.model.graph.output):
            return True
        if any(node.op_type != "Conv" for node in readers if node not in passing):
            return True
        return any(self.read_by_others(node.output[0]) for node in passing)


def values_of(
    model: onnx.ModelProto, tensors: Sequence[str], squares: Sequence[Values]
) -> Iterator[dict[str, Values]]:
    """For each of the squares, (1, S, S), the values (1, C, H, W) of these tensors."""
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    names = list(dict.fromkeys(tensors))
    shown.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    entry = session.get_inputs()[0].name
    for square in squares:
        yield dict(zip(names, session.run(names, {entry: square[None]}), strict=True))
