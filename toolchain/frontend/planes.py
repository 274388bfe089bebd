"""Networks of planes that are no picture by themselves, made ones of RGB pictures: chroma, luma with chroma, alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from toolchain.frontend.graph import Array
from toolchain.frontend.interface import PROBE_SIZE
from toolchain.frontend.probe import run
from toolchain.support.errors import ModelError

_TO_PLANES = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
"""Y, Cb and Cr of red, green and blue, as JPEG has them: BT.601, full range, chroma around grey."""

_TO_RGB = np.array([[0.0, 1.402], [-0.344136286, -0.714136286], [1.772, 0.0]], np.float32)
"""What differences of Cb and Cr add to red, green and blue."""

_COLOURS = 3
_SIZES = (PROBE_SIZE, (64, 64))
_JOINED = "pictures become Y, Cb and Cr (BT.601, full range) before it"


@dataclass(frozen=True)
class _Kind:
    """What a network of other channels than a picture's is given and what is made of what it gives.

    Attributes:
        rows: of the planes that it takes, among Y, Cb and Cr; empty: red, green, blue and an opaque alpha.
        made: of the planes that it gives, as what they add to red, green and blue when they change; None: what it gives
            is red, green and blue, with more behind them.
        replaced: those planes, among Y, Cb and Cr.
        said: to the user, of a network that scales by a number.
    """

    rows: tuple[int, ...]
    made: Array | None
    replaced: tuple[int, ...]
    said: str


_KEPT = "luma is the picture's{}, chroma is the network's"
_KINDS = {
    (3, 2): _Kind((0, 1, 2), _TO_RGB, (1, 2), f"a network of chroma: {_JOINED}; {_KEPT}"),
    (2, 2): _Kind((1, 2), _TO_RGB, (1, 2), f"a network of chroma: {_JOINED}, which takes Cb and Cr; {_KEPT}"),
    (3, 1): _Kind(
        (0, 1, 2),
        np.ones((3, 1), np.float32),
        (0,),
        f"a network of luma that is shown chroma: {_JOINED}; chroma is the picture's{{}}, luma is the network's",
    ),
    (1, 3): _Kind((0,), None, (), "a network that takes luma and gives RGB: pictures become luma (BT.601) before it"),
    (4, 4): _Kind((), None, (), "a network of RGBA: its alpha is opaque, that of pictures is enlarged beside it"),
}
_KINDS[4, 3] = _KINDS[4, 4]


@dataclass(frozen=True)
class Planes:
    """What a network of planes takes and gives.

    Attributes:
        taken: channels.
        given: channels.
        scale: output pixels per input pixel and direction.
    """

    taken: int
    given: int
    scale: int


def find_planes(model: onnx.ModelProto) -> Planes | None:
    """Return what a network takes and gives if it is of planes that are known; None of pictures, and of all else.

    It is executed only where it does not declare as many channels at both ends.
    """
    kinds = [end.type.tensor_type.elem_type for end in (*model.graph.input, *model.graph.output)]
    if kinds != [TensorProto.FLOAT] * 2:
        return None
    given, made = (
        [dim.dim_value if dim.HasField("dim_value") else 0 for dim in end.type.tensor_type.shape.dim]
        for end in (model.graph.input[0], model.graph.output[0])
    )
    if len(given) != 4 or not 1 <= given[1] <= 4 or (len(made) == 4 and given[1] == made[1] in (1, 3)):
        return None
    for height, width in ((given[2] or tall, given[3] or wide) for tall, wide in _SIZES):
        try:
            shape = run(model, np.zeros((given[0] or 1, given[1], height, width), np.float32)).shape
        except ModelError:
            continue
        if len(shape) == 4 and shape[2] and not shape[2] % height and shape[2] * width == shape[3] * height:
            found = Planes(given[1], shape[1], shape[2] // height)
            return found if (found.taken, found.given) in _KINDS else None
    return None


def into_pictures(model: onnx.ModelProto, found: Planes, black: float, white: float) -> str:
    """Make a network of planes, of opset 17, one from RGB pictures to RGB pictures, in place; says how.

    What it does not give is the picture's, enlarged bicubically. What it gives is added as a difference to what there
    was: where that is nothing, nothing is rounded.

    Args:
        model: as `find_planes` saw it.
        found: by that.
        black: of its numbers.
        white: of its numbers.
    """
    kind, build = _KINDS[found.taken, found.given], _Builder(model)
    picture, inner = build.open()
    middle = (black + white) / 2
    offsets = np.array([0, middle, middle], np.float32)
    if kind.rows:
        build.conv(picture, _TO_PLANES[list(kind.rows)], offsets[list(kind.rows)], build.planes)
    else:
        build.conv(picture, np.eye(4, 3, dtype=np.float32), np.array([0, 0, 0, white], np.float32), build.planes)
    if kind.made is not None:
        rows = list(kind.replaced)
        before = build.enlarged(build.conv(picture, _TO_PLANES[rows], offsets[rows]), found.scale)
        change = build.conv(build.add("Sub", [inner, before]), kind.made)
        build.add("Add", [change, build.enlarged(picture, found.scale)], build.result)
    elif found.given > _COLOURS:
        build.first(inner, _COLOURS)
    else:
        build.add("Identity", [inner], build.result)
    build.close()
    return kind.said.format("" if found.scale == 1 else ", enlarged bicubically")


class _Builder:
    """Writes what stands around a network: its own ends get other names, and a picture's take theirs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._used = {name for node in model.graph.node for name in (*node.input, *node.output)}
        self._before: list[onnx.NodeProto] = []
        self._after: list[onnx.NodeProto] = []
        self.planes, self.result = "", model.graph.output[0].name

    def open(self) -> tuple[str, str]:
        """Return the names of the picture and of what the network gives."""
        picture, inner = self._graph.input[0].name, self._fresh(f"{self.result}_planes")
        self.planes = self._fresh(f"{picture}_planes")
        for node in self._graph.node:
            node.input[:] = [
                self.planes if name == picture else inner if name == self.result else name for name in node.input
            ]
            node.output[:] = [inner if name == self.result else name for name in node.output]
        return picture, inner

    def close(self) -> None:
        """Let the graph have what was written."""
        nodes = [*self._before, *self._graph.node, *self._after]
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        for end in (self._graph.input[0], self._graph.output[0]):
            dims = end.type.tensor_type.shape.dim
            if len(dims) == 4:
                dims[1].Clear()
                dims[1].dim_value = _COLOURS

    def conv(self, given: str, weights: Array, offsets: Array | None = None, result: str = "") -> str:
        """Mix the channels of each pixel."""
        names = [given, self.stored(weights[:, :, None, None], "mix")]
        if offsets is not None:
            names.append(self.stored(offsets, "offsets"))
        return self.add("Conv", names, result)

    def enlarged(self, given: str, scale: int) -> str:
        """Enlarge bicubically, as Pillow weighs pixels."""
        if scale == 1:
            return given
        factors = self.stored(np.array([1, 1, float(scale), float(scale)], np.float32), "factors")
        return self.add("Resize", [given, "", factors], mode="cubic", cubic_coeff_a=-0.5)

    def first(self, given: str, count: int) -> None:
        """Keep the first channels."""
        bounds = [self.stored(np.array([at], np.int64), "bound") for at in (0, count, 1)]
        self.add("Slice", [given, *bounds], self.result)

    def stored(self, value: Array, stem: str) -> str:
        """Add a constant."""
        name = self._fresh(f"{self.result}_{stem}")
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def add(self, kind: str, names: list[str], result: str = "", **attributes: object) -> str:
        """Add an operator, before the network if it makes what that takes."""
        result = result or self._fresh(f"{self.result}_{kind.lower()}")
        node = helper.make_node(kind, names, [result], name=self._fresh(f"{result}_node"), **attributes)
        (self._before if result == self.planes else self._after).append(node)
        return result

    def _fresh(self, stem: str) -> str:
        name, count = stem, 1
        while name in self._used:
            name, count = f"{stem}_{count}", count + 1
        self._used.add(name)
        return name
