"""An ONNX graph for quantisation: which nodes give and read a tensor, and its values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

__all__ = ["SPATIAL_AXES", "Graph", "Values", "values_of"]

SPATIAL_AXES = (2, 3)
"""The axes of a tensor (N, C, H, W), and of a convolution's weights, that are not channels."""

Values: TypeAlias = NDArray[np.float32]


class Graph:
    """The nodes of a model by their outputs, and its weights by name. Writing changes the model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.node_of = {name: node for node in model.graph.node for name in node.output}
        self.constants = {constant.name: constant for constant in model.graph.initializer}
        self.convolutions = [node for node in model.graph.node if node.op_type == "Conv"]

    def read(self, name: str) -> Values:
        """The weights of this name."""
        values: Values = numpy_helper.to_array(self.constants[name])
        return values

    def write(self, name: str, values: NDArray[np.floating]) -> None:
        """Replace the weights of this name."""
        contiguous = np.ascontiguousarray(values, dtype=np.float32)
        self.constants[name].CopyFrom(numpy_helper.from_array(contiguous, name))

    def bias(self, node: onnx.NodeProto) -> Values:
        """The bias of a convolution, (O,); zeros if it has none."""
        if len(node.input) > 2:
            return self.read(node.input[2])
        return np.zeros(len(self.read(node.input[1])), np.float32)

    def set_bias(self, node: onnx.NodeProto, values: NDArray[np.floating]) -> None:
        """Set the bias of a convolution, which may have none yet."""
        if len(node.input) == 2:
            node.input.append(f"{node.name}_bias")
            added = self.model.graph.initializer.add()
            added.name = node.input[2]
            self.constants[added.name] = added
        self.write(node.input[2], values)

    def sources(self, tensor: str) -> Iterator[str]:
        """The tensors whose channels are concatenated in `tensor`."""
        node = self.node_of.get(tensor)
        if node is not None and node.op_type in ("MaxPool", "Concat"):
            for name in node.input:
                yield from self.sources(name)
        else:
            yield tensor

    def convolution_of(self, tensor: str) -> onnx.NodeProto | None:
        """The convolution before the ReLU or DepthToSpace of `tensor`; None if others read it."""
        node = self.node_of.get(tensor)
        if node is None or node.op_type not in ("Relu", "DepthToSpace"):
            return None
        source: onnx.NodeProto | None = self.node_of.get(node.input[0])
        readers = [other for other in self.model.graph.node if node.input[0] in other.input]
        if len(readers) != 1 or source is None or source.op_type != "Conv":
            return None
        return source

    def channels(self, tensor: str) -> int:
        """The number of channels of `tensor`, after DepthToSpace a quarter of the convolution's."""
        convolution = self.convolution_of(tensor)
        assert convolution is not None
        unfolded = self.node_of[tensor].op_type == "DepthToSpace"
        return len(self.read(convolution.input[1])) // (4 if unfolded else 1)

    def read_by_others(self, tensor: str) -> bool:
        """Whether anything else than convolutions, pooling and concatenation reads `tensor`."""
        readers = [node for node in self.model.graph.node if tensor in node.input]
        passing = [node for node in readers if node.op_type in ("MaxPool", "Concat")]
        if tensor in (output.name for output in self.model.graph.output):
            return True
        if any(node.op_type != "Conv" for node in readers if node not in passing):
            return True
        return any(self.read_by_others(node.output[0]) for node in passing)


def values_of(
    model: onnx.ModelProto, tensors: Sequence[str], squares: Sequence[Values]
) -> Iterator[dict[str, Values]]:
    """The values (1, C, H, W) of the tensors for each square (1, S, S)."""
    import onnxruntime

    with_outputs = onnx.ModelProto()
    with_outputs.CopyFrom(model)
    names = list(dict.fromkeys(tensors))
    with_outputs.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnxruntime.InferenceSession(
        with_outputs.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    input_name = session.get_inputs()[0].name
    for square in squares:
        yield dict(zip(names, session.run(names, {input_name: square[None]}), strict=True))
