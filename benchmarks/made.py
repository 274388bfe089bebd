"""Networks that are made here, with random weights: larger ones, and such as consist of 1x1 convolutions.

    python benchmarks/made.py srvgg:64x16x2 -o srvgg.onnx

Their names say what they are: KIND:FEATURESxLAYERSxSCALE. Time does not depend on weights, so they need no training;
the last convolution's are so small that the result is an enlarged photograph with a little noise, and can be judged.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.support.errors import ClipfreeError, InputError
from toolchain.support.files import atomic_write
from toolchain.zoo import embedded

_NAME = re.compile(r"(?P<kind>[a-z]+):(?P<features>\d+)x(?P<layers>\d+)x(?P<scale>\d+)")
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

    def conv(self, source: str, before: int, after: int, side: int, gain: float = 1.0) -> str:
        """A convolution of ``side`` x ``side`` taps whose outputs are as large as its inputs, times ``gain``."""
        spread = gain * (2 / (side * side * before)) ** 0.5
        weights = self._chance.normal(0, spread, (after, before, side, side)).astype(np.float32)
        bias = np.zeros(after, np.float32)
        return self.add("Conv", source, self.constant(weights), self.constant(bias), pads=[side // 2] * 4)


def srvgg(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """The compact network of Real-ESRGAN (Wang et al., 2021): 3x3 convolutions and PReLUs onto the nearest pixels."""
    graph = Graph(features)
    x = "input"
    for before in (3, *[features] * layers):
        slopes = graph.constant(np.full((features, 1, 1), 0.2, np.float32))
        x = graph.add("PRelu", graph.conv(x, before, features, 3), slopes)
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def pointwise(features: int, layers: int, scale: int) -> onnx.ModelProto:
    """Pairs of 1x1 convolutions, to twice as many features and back, between two of 3x3."""
    graph = Graph(features)
    x = graph.add("Relu", graph.conv("input", 3, features, 3))
    for _ in range(layers):
        wide = graph.add("Relu", graph.conv(x, features, 2 * features, 1))
        x = graph.add("Relu", graph.conv(wide, 2 * features, features, 1))
    return enlarged(graph, graph.conv(x, features, 3 * scale**2, 3, LAST), scale)


def enlarged(graph: Graph, x: str, scale: int) -> onnx.ModelProto:
    """The network that adds ``x``, shuffled to pixels, to the nearest enlargement of its input."""
    residual = graph.add("DepthToSpace", x, blocksize=scale, mode="CRD")
    sizes = graph.constant(np.array([1, 1, scale, scale], np.float32))
    nearest = graph.add(
        "Resize", "input", "", sizes, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    graph.nodes.append(helper.make_node("Add", [residual, nearest], ["output"]))
    made = helper.make_graph(
        graph.nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 3, "H", "W"])],
        graph.constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


KINDS: Mapping[str, Callable[[int, int, int], onnx.ModelProto]] = {"srvgg": srvgg, "pointwise": pointwise}


def made_here(name: str) -> bool:
    """Whether ``name`` is that of a network that is made here."""
    found = _NAME.fullmatch(name)
    return found is not None and found["kind"] in KINDS


def make(name: str) -> onnx.ModelProto | None:
    """The network of that name; None if it is not a name of one that is made here."""
    found = _NAME.fullmatch(name)
    if found is None or not made_here(name):
        return None
    features, layers, scale = (int(found[part]) for part in ("features", "layers", "scale"))
    return KINDS[found["kind"]](features, layers, scale)


def model_file(name: str, folder: Path) -> Path:
    """The file of a network: ``zoo:NAME``, a name of one that is made here, written into ``folder``, or a path.

    Raises:
        InputError: there is none.
    """
    model = make(name)
    if model is None:
        return embedded.resolve(name)
    path = folder / f"{name.replace(':', '_')}.onnx"
    write(model, path)
    return path


def write(model: onnx.ModelProto, path: Path) -> None:
    """Write a model, whole or not at all."""
    with atomic_write(path) as file:
        file.write(model.SerializeToString())


def main() -> int:
    """Parse, make, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help=f"KIND:FEATURESxLAYERSxSCALE, KIND one of {', '.join(KINDS)}")
    parser.add_argument("-o", "--output", type=Path, required=True, help="an ONNX file")
    options = parser.parse_args()
    try:
        model = make(options.name)
        if model is None:
            raise InputError(f"no network is called {options.name}", hint="see --help")
        write(model, options.output)
    except ClipfreeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
