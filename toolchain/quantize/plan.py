"""Which tensors of a float network are quantized, and which of them share one quantization.

One integer kernel is a convolution with its activation, its residual sum and a last activation; only its result is
rounded. Another is a function of one tensor's numbers, of however many operators. Tensors that are merely moved
(concatenated, shuffled) keep the quantization of what they are moved from, so moving moves bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import onnx

from toolchain.frontend.fixed_point import read_resizing, read_sized
from toolchain.frontend.window import read_window
from toolchain.quantize.pairs import (
    LEVEL,
    POOLS,
    interpolates,
    is_pair,
    normalized_within,
    single_tensors,
    takes_wide,
    whole_deviations,
)
from toolchain.quantize.regions import Regions
from toolchain.quantize.sites import ConvSite, find_site
from toolchain.quantize.widths import channels_of
from toolchain.reference.average import averages
from toolchain.reference.channel_pool import channel_pool
from toolchain.reference.down import pools
from toolchain.reference.graph import GraphView, attributes
from toolchain.reference.program import ACTIVATIONS, read_activation, read_selection

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

_MOVES = (
    "DepthToSpace",
    "SpaceToDepth",
    "Slice",
    "Split",
    "MaxPool",
    "Transpose",
    "Reshape",
    "Gather",
    "Identity",
    "Tile",
)


@dataclass(frozen=True)
class QuantizationPlan:
    """What the QDQ writer does.

    Attributes:
        points: tensors that get a QuantizeLinear and DequantizeLinear, in graph order; the graph input first.
        group: the tensor that stands for each tensor's quantization; equal for all that share it.
        pinned: the groups that hold pixels: the network's input and, unless it was to be observed, its output.
        bounded: real bounds of the tensors that end with an inner Clip.
        convolutions: the integer convolutions, by the name of the convolution's own output.
        float_operators: the kinds of the operators that stay float, in graph order.
        observed: the tensors whose values decide each group that is not pinned: what moves bytes shows no new values.
        exact: the groups of which finer codes cost next to nothing: nothing but float operators, tables, sums or
            products reads them, or they have a single pixel.
        tables: the tensors within functions of one tensor's numbers, by name, and that tensor.
    """

    points: tuple[str, ...]
    group: dict[str, str]
    pinned: frozenset[str]
    bounded: dict[str, tuple[float, float]]
    convolutions: dict[str, ConvSite]
    float_operators: tuple[str, ...]
    observed: tuple[str, ...]
    exact: frozenset[str] = frozenset()
    tables: Mapping[str, str] = field(default_factory=dict)


def make_plan(sr: SRModel, *, pin_output: bool = True, rounded: Collection[str] = ()) -> QuantizationPlan:
    """Decide for a normalized float network. Pure graph work: no data is looked at.

    ``pin_output``: the output holds pixels. False leaves its range to be observed like any other tensor's, as a
    toolchain does that knows nothing of pixels; clipped or not, its codes are then not the picture.

    ``rounded``: tensors that are rounded even where one kernel could go on with what it has.
    """
    return _Planner(GraphView(sr.model), sr.value_range[1], frozenset(rounded), sr.coarse).plan(pin_output)


class _Planner:
    def __init__(self, view: GraphView, white: float, rounded: frozenset[str], coarse: Collection[str]) -> None:
        self.view, self.white, self.rounded, self.coarse = view, white, rounded, coarse
        self.inside: set[str] = set()  # tensors within a kernel, never rounded
        self.ends: dict[str, str] = {}  # a kernel's result -> the kind of its last node
        self.joined: set[str] = set()  # outputs of the Adds that are part of a convolution's kernel
        self.interpolated: set[str] = set()  # outputs of the Adds that are part of an interpolation's
        self.parent: dict[str, str] = {}
        self.single, self.deviations = single_tensors(view), whole_deviations(view)
        self.regions = Regions(view, rounded)

    def plan(self, pin_output: bool) -> QuantizationPlan:
        nodes = list(self.view.model.graph.node)
        integer: set[str] = set()  # outputs of the nodes that are part of an integer kernel
        sites: dict[str, ConvSite] = {}
        for node in nodes:
            site = find_site(node, self.view)
            if site is not None:
                sites[site.output] = site
        # The convolution nearest an Add takes it: its other operand is then complete in every order of execution.
        for node in reversed(nodes):
            if node.output and node.output[0] in sites:
                integer.update(self._follow(node.output[0]))
        for node in nodes:
            if self._resizes(node):
                integer.update(self._interpolation(node))
        movers = {n.output[0] for n in nodes if n.op_type == "DepthToSpace"}
        for node in nodes:
            if node.output[0] in integer or self.regions.admit(node, {*integer, *movers, self.view.input}):
                continue
            if self._combines(node, {*integer, *movers}):
                integer.update(self._tail(node.output[0], ACTIVATIONS))
            elif node.op_type in POOLS or averages(node) or channel_pool(node, self.view):
                integer.update(self._tail(node.output[0], ("Relu", "Clip")))
            elif self._joins(node) or self._places(node):
                integer.add(node.output[0])
            elif within := normalized_within(node, self.view, self.rounded):
                integer.add(node.output[0])
                self.inside.update(within)
        for tensor in [name for name in self.regions.roots if not self.regions.goes_on(name)]:
            maker = self.view.producers[tensor]
            if maker.op_type in ACTIVATIONS and maker.input[0] in integer and read_activation(maker, self.view):
                integer.add(tensor)  # of a tensor that others read too
        tables = self.regions.tables(lambda name: name == self.view.output or self._feeds_integer(name, integer))
        points = self._points(nodes, integer)
        shown = self._only_shown(nodes, integer) if pin_output else frozenset()
        groups = self._groups(nodes, set(points), integer, shown)
        ends = (self.view.input, self._last_rounded(groups)) if pin_output else (self.view.input,)
        pinned = frozenset(groups[name] for name in ends)
        done = {*integer, *movers, *tables, *self.inside, *self._sizes(nodes)}
        floats = tuple(node.op_type for node in nodes if node.output[0] not in done)
        observed = tuple(
            p for p in points if groups[p] not in pinned and not self._shown_elsewhere(p, groups, set(points))
        )
        rounded = {groups[point] for point in points if not self._takes_wide(point, integer)}
        exact = frozenset(groups[point] for point in points) - pinned - rounded
        return QuantizationPlan(points, groups, pinned, self._bounds(points), sites, floats, observed, exact, tables)

    def _resizes(self, node: onnx.NodeProto) -> bool:
        """Whether integers can do what a Resize does."""
        constants = self.view.constants
        return bool(read_resizing(node, constants) or read_sized(node, self.view.producers, constants))

    def _sizes(self, nodes: list[onnx.NodeProto]) -> set[str]:
        """Return what is computed of sizes, for interpolations that integers do."""
        found: set[str] = set()
        wanted = [node.input[3] for node in nodes if node.op_type == "Resize" and len(node.input) > 3]
        while wanted:
            maker = self.view.producers.get(wanted.pop())
            if maker is not None and maker.op_type in ("Shape", "Mul", "Concat"):
                found.update(maker.output)
                wanted += [] if maker.op_type == "Shape" else maker.input
        return found

    def _joins(self, node: onnx.NodeProto) -> bool:
        """Whether channels of several tensors come side by side."""
        return node.op_type == "Concat" and attributes(node)["axis"] in (1, -3) and not self._constant_operand(node)

    def _combines(self, node: onnx.NodeProto, codes: set[str]) -> bool:
        """Whether a kernel of its own computes a sum, product or extreme of two tensors, some of them ``codes``."""
        if node.output[0] in self.inside:
            return False
        adds = node.op_type == "Add" and not self._floating(node)
        return adds or is_pair(node, self.view, {*codes, *self.regions.roots, self.view.input})

    def _takes_wide(self, tensor: str, integer: set[str]) -> bool:
        """Whether finer codes of a tensor cost next to nothing: what reads it computes in float, looks it up in tables,
        adds an interpolated one, or it has a single pixel (gates of a single pixel are no better for 128 KB of table);
        or whether the picture's variance is made of them.
        """
        if tensor in self.deviations:
            return tensor != self.view.output
        readers = self.view.consumers.get(tensor, ())
        if not readers or tensor == self.view.output:
            return False
        products, moves = integer - self.interpolated, ("DepthToSpace", "Resize")
        others = [reader for reader in readers if reader.op_type in moves or products.intersection(reader.output)]
        if tensor in self.single and any(reader.op_type in LEVEL for reader in readers):
            return False
        if tensor in integer and len(others) < len(readers):
            return all(reader.op_type in ("Add", "Mul", *ACTIVATIONS) for reader in others)
        return tensor in self.single and all(takes_wide(reader, self.view) for reader in readers)

    def _floating(self, node: onnx.NodeProto) -> bool:
        """Whether no convolution takes a sum in: with a constant, or with an interpolated picture that nothing else
        needs in codes.

        Interpolated values lie halfway between codes all the time: rounded once, together with the other operand, they
        are more exact.
        """
        makers = [self.view.producers.get(name) for name in node.input]
        return self._constant_operand(node) or any(
            maker is not None and maker.op_type == "Resize" and self.view.sole_reader(maker.output[0]) is node
            for maker in makers
        )

    def _places(self, node: onnx.NodeProto) -> bool:
        """Whether codes of a tensor only get other places: channels chosen or reordered, borders added or cut, squares
        laid into channels, or the largest of them kept.
        """
        if node.op_type == "SpaceToDepth" or (node.op_type == "MaxPool" and pools(node)):
            return True
        if read_selection(node, self.view) is not None:
            return not self.view.is_constant(node.input[0])
        return read_window(node, self.view.constants.get) is not None and self._moves(node)

    def _moves(self, node: onnx.NodeProto) -> bool:
        """Whether values of the first input come out as they are, or as weighted means."""
        if node.op_type == "Resize":
            return bool(attributes(node).get("mode", "nearest") in ("nearest", "linear"))
        window = read_window(node, self.view.constants.get) if node.op_type == "Pad" else None
        if window is not None:
            return window.mode != "constant" or 0 <= window.value <= self.white or not self._pixels(node.input[0])
        return node.op_type in _MOVES and bool(node.input)

    def _pixels(self, tensor: str) -> bool:
        """Whether a tensor holds the network's input and nothing else: its range cannot be widened."""
        maker = self.view.producers.get(tensor)
        while maker is not None and self._moves(maker):
            tensor = maker.input[0]
            maker = self.view.producers.get(tensor)
        return tensor == self.view.input

    def _adds(self, node: onnx.NodeProto) -> bool:
        """Whether a node that moves values adds a number of its own, which their range has to hold."""
        window = read_window(node, self.view.constants.get) if node.op_type == "Pad" else None
        return window is not None and window.mode == "constant" and window.value != 0

    def _constant_operand(self, node: onnx.NodeProto) -> bool:
        return any(self.view.is_constant(name) for name in node.input)

    def _tail(self, tensor: str, kinds: tuple[str, ...]) -> list[str]:
        """``tensor`` and the activation after it that the same kernel computes."""
        reader = self.view.sole_reader(tensor) if tensor not in self.rounded else None
        if reader is None or reader.op_type not in kinds or read_activation(reader, self.view) is None:
            return [tensor]
        self.inside.add(tensor)
        return [tensor, reader.output[0]]

    def _follow(self, tensor: str) -> list[str]:
        """Return the outputs of the nodes that the convolution ``tensor`` takes into its kernel."""
        chain = self._tail(tensor, ACTIVATIONS)
        reader = self.view.sole_reader(chain[-1]) if chain[-1] not in self.rounded else None
        if reader is None or reader.op_type != "Add" or reader.output[0] in self.joined or self._floating(reader):
            return chain
        other = next((name for name in reader.input if name != chain[-1]), None)
        if other is None or self._broadcasts(chain[-1], other) or (chain[-1] in self.single) != (other in self.single):
            return chain
        self.joined.add(reader.output[0])
        self.inside.add(chain[-1])
        return chain + self._tail(reader.output[0], ("Relu", "Clip"))

    def _interpolation(self, node: onnx.NodeProto) -> list[str]:
        """Return the outputs of the nodes that an interpolation takes into its kernel."""
        tensor = node.output[0]
        reader = self.view.sole_reader(tensor)
        if reader is None or reader.op_type != "Add" or reader.output[0] in self.joined | self.interpolated:
            return self._tail(tensor, ACTIVATIONS)
        other = next((name for name in reader.input if name != tensor), None)
        if other is None or self.view.is_constant(other) or not self._fits(tensor, other):
            return [tensor]
        self.interpolated.add(reader.output[0])
        self.inside.add(tensor)
        return [tensor, *self._tail(reader.output[0], ("Relu", "Clip"))]

    def _fits(self, inner: str, residual: str) -> bool:
        """Whether an operand has a channel for each of ``inner``, or one for all."""
        left, right = channels_of(inner, self.view), channels_of(residual, self.view)
        return right == 1 or (left is not None and left == right)

    def _broadcasts(self, inner: str, residual: str) -> bool:
        """Whether the convolution's own result is the narrower operand, which cannot take the sum in."""
        left, right = channels_of(inner, self.view), channels_of(residual, self.view)
        return left is None or (left == 1 and right != 1)

    def _points(self, nodes: list[onnx.NodeProto], integer: set[str]) -> tuple[str, ...]:
        moved = {n.output[0]: n.input[0] for n in nodes if n.op_type == "DepthToSpace"}
        points = [self.view.input]
        for node in nodes:
            for name in node.output:
                if name in self.inside or not name:
                    continue
                if name in integer:
                    points.append(name)
                elif name in moved:
                    # At the end of the graph the shuffle leaves codes as they are.
                    if name != self.view.output:
                        points.append(name)
                elif name == self.view.output or self._feeds_integer(name, integer) or self.regions.rounds(name):
                    points.append(name)
        return tuple(points)

    def _feeds_integer(self, tensor: str, integer: set[str]) -> bool:
        return any(
            reader.op_type == "DepthToSpace" or any(out in integer for out in reader.output)
            for reader in self.view.consumers.get(tensor, ())
            if reader.op_type != "Resize" or reader.input[0] == tensor
        )

    def _only_shown(self, nodes: list[onnx.NodeProto], integer: set[str]) -> frozenset[str]:
        """Return the output, and the tensors whose values are in it and nowhere else, each as it is or the largest of
        several.

        Only of these does the output's range, which is the picture's, say all. It is a clip: on a tensor that something
        else reads, or of whose values means are taken, it would also stand where the network has none.
        """
        found = {self.view.output}
        for node in reversed(nodes):
            joins = node.op_type == "Concat" and node.output[0] in integer
            if (joins or (self._moves(node) and not interpolates(node))) and found.issuperset(node.output):
                found.update(n for n in node.input if self.view.sole_reader(n) is node and not self.view.is_constant(n))
        return frozenset(found)

    def _groups(
        self, nodes: list[onnx.NodeProto], points: set[str], integer: set[str], shown: frozenset[str]
    ) -> dict[str, str]:
        for node in nodes:
            if node.op_type == "Concat" and node.output[0] in integer:
                # Pixels keep their own quantization: only where nothing else is concatenated does the result share it.
                names = set(node.input).difference(self.coarse)
                mixed = len(names) > 1 and self.view.input in {self._root(name) for name in names}
                for name in names:
                    if not (mixed and self._root(name) == self.view.input):
                        self._join(node.output[0], name, shown)
            elif self._moves(node) and not self.view.is_constant(node.input[0]):
                for name in node.output:
                    self._join(name, node.input[0], shown)
        return {name: self._root(name) for name in [*points, *self.parent]}

    def _shown_elsewhere(self, point: str, groups: dict[str, str], points: set[str]) -> bool:
        """Whether a Concat of the same group holds this tensor, or it is moved from a point of the same group."""
        joins = [n for n in self.view.consumers.get(point, ()) if n.op_type == "Concat"]
        if any(groups.get(n.output[0]) == groups[point] for n in joins):
            return True
        maker = self.view.producers.get(point)
        while maker is not None and self._moves(maker) and groups.get(maker.input[0]) == groups[point]:
            if self._adds(maker):
                return False
            if maker.input[0] in points:
                return True
            maker = self.view.producers.get(maker.input[0])
        return False

    def _root(self, name: str) -> str:
        while self.parent.get(name, name) != name:
            name = self.parent[name]
        return name

    def _join(self, name: str, source: str, shown: frozenset[str]) -> None:
        """Let ``name`` share the quantization of ``source``, unless only the former has the range of the output."""
        if name in shown and source not in shown:
            self.parent.setdefault(name, name)
            return
        keep, lose = sorted((self._root(source), self._root(name)), key=lambda root: root != self.view.input)
        self.parent.setdefault(keep, keep)
        self.parent[lose] = keep

    def _last_rounded(self, groups: dict[str, str]) -> str:
        name = self.view.output
        while name not in groups:
            name = self.view.producers[name].input[0]
        return name

    def _bounds(self, points: tuple[str, ...]) -> dict[str, tuple[float, float]]:
        bounds = {}
        for name, node in ((name, self.view.producers.get(name)) for name in points):
            found = read_activation(node, self.view) if node and node.op_type == "Clip" else None
            if found is not None and max(abs(found.low), abs(found.high)) < 1e30:
                bounds[name] = (found.low, found.high)
        return bounds
