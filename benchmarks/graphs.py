"""Graphs of networks with random weights: operators and constants, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

LAST = 0.02
"""What the last convolution's weights are multiplied by."""


class Graph:
    """Nodes and constants in the order of their making."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._chance = np.random.default_rng(seed)

    def add(self, operator: str, *sources: str, **attributes: object) -> str:
        """An operator; returns the name of its result."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(sources), [name], **attributes))
        return name

    def constant(self, value: npt.NDArray[np.float32]) -> str:
        """A constant; returns its name."""
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def indices(self, values: Sequence[int]) -> str:
        """A constant of whole numbers; returns its name."""
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def number(self, value: float) -> str:
        """A constant that is one number; returns its name."""
        return self.constant(np.array(value, np.float32))

    def conv(self, source: str, before: int, after: int, side: int, gain: float = 1.0, **attributes: object) -> str:
        """A convolution of ``side`` x ``side`` taps whose outputs are as large as its inputs, times ``gain``.

        Padded so that the picture keeps its size, unless ``attributes`` say otherwise.
        """
        weights = self.constant(self.normal((after, before, side, side), gain * (2 / (side * side * before)) ** 0.5))
        bias = self.constant(np.zeros(after, np.float32))
        return self.add("Conv", source, weights, bias, **{"pads": [side // 2] * 4, **attributes})

    def normal(self, shape: Sequence[int], spread: float) -> npt.NDArray[np.float32]:
        """Chance numbers."""
        return self._chance.normal(0, spread, shape).astype(np.float32)

    def nearest(self, source: str, scale: int) -> str:
        """The nearest enlargement of a tensor."""
        return self.resize(source, scale, mode="nearest", nearest_mode="floor")

    def linear(self, source: str, scale: int) -> str:
        """The linear enlargement of a tensor."""
        return self.resize(source, scale, mode="linear", coordinate_transformation_mode="half_pixel")

    def resize(self, source: str, scale: int, **attributes: object) -> str:
        """An enlargement of a tensor."""
        factors = self.constant(np.array([1, 1, scale, scale], np.float32))
        return self.add("Resize", source, "", factors, **{"coordinate_transformation_mode": "asymmetric", **attributes})


def enlarged(graph: Graph, x: str, scale: int, down: int = 1) -> onnx.ModelProto:
    """The network that adds ``x``, shuffled to pixels, to the nearest enlargement of its input.

    Args:
        graph: what there is so far.
        x: (1, 3 * (scale * down)**2, h / down, w / down)
        scale: of the whole network.
        down: by what ``x`` is smaller than the input.
    """
    residual = graph.add("DepthToSpace", x, blocksize=scale * down, mode="CRD")
    graph.add("Add", residual, graph.nearest("input", scale))
    return ending(graph)


def ending(graph: Graph) -> onnx.ModelProto:
    """The network whose output is that of its last operator."""
    graph.nodes[-1].output[0] = "output"
    made = helper.make_graph(
        graph.nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, "H", "W"])],
        graph.constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
