"""Write the lowered ``main`` of a float network: every chain becomes one call of a float kernel on packed tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from toolchain.kernels import float_conv, float_ends
from toolchain.kernels.driver import Picture, Tensor
from toolchain.kernels.float_spec import (
    FloatActivation,
    FloatConv,
    FloatDraw,
    FloatOperand,
    FloatOperation,
    FloatPack,
    FloatSum,
)
from toolchain.kernels.float_tile import choose_tile
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import Pixels, View
from toolchain.kernels.vectors import Vectors
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Calls, Extent, Source
from toolchain.lower.float_chain import FloatConcatChain, FloatConvChain, FloatMatcher, FloatSumChain
from toolchain.lower.float_weights import arrange_floats
from toolchain.lower.lowered import Kernel
from toolchain.lower.operators import Operators
from toolchain.reference.steps import Activation
from toolchain.support.errors import ModelError


@dataclass(frozen=True, eq=False)
class FloatPacked:
    """A tensor in packed form: channel c is channel ``slots[c]`` of ``view`` of ``var``."""

    var: Any
    view: View
    slots: tuple[int, ...]


class FloatEmitter:
    """Emits the bindings of the new ``main`` on demand, from the result backwards.

    Args:
        matcher: of the imported ``main``.
        functions: of the imported module.
        builder: inside the new function's dataflow block.
        pixels: the new parameter, uint8 (height, width, channels).
        geometry: of the packed tensors.
        vectors: the instruction set's.
        white: the network's number for a pixel of 255; 0 is black.
    """

    def __init__(
        self,
        matcher: FloatMatcher,
        functions: Any,
        builder: relax.BlockBuilder,
        pixels: Any,
        geometry: Geometry,
        vectors: Vectors,
        white: float,
    ) -> None:
        self.matcher, self.pixels, self.geometry, self.vectors = matcher, pixels, geometry, vectors
        self.step, self.gain = white / 255.0, 255.0 / white
        self.calls = Calls(builder, pixels, geometry)
        self.operators = Operators(matcher, functions, self.calls, self._known)
        self.kernels: list[Kernel[FloatConv]] = []
        self.covered: set[Any] = set()
        self.chains = {var: matcher.chain(var) for var in matcher.definitions}
        self.done: dict[Any, FloatPacked] = {}
        self.buffers: dict[Any, Any] = {}
        self.places = self._places()

    def packed(self, var: Any) -> FloatPacked:
        """The packed form of ``var``, computing it if that has not been done yet."""
        if var not in self.done:
            self.done[var] = self._compute(var)
        return self.done[var]

    def draw(self, var: Any, pixels: Pixels) -> Any:
        """Emit what ends the network: the picture made of ``var`` (1, C, h, w). Returns the picture's variable."""
        chain, picture = self.chains.get(var), Picture(pixels.channels, pixels.scale)
        if isinstance(chain, FloatConvChain):
            operation: FloatOperation
            name, function, sources, constants, operation = self._convolution(
                chain, _own(chain.weight.shape[0]), pixels
            )
        else:
            source = self.packed(var)
            moved = Pixels(pixels.scale, pixels.channels, tuple(source.slots[slot] for slot in pixels.table))
            function = float_ends.store_pixels(source.view, moved, self.gain, self.geometry, self.vectors)
            name, sources, constants = "store_pixels", [self._source(source)], []
            operation = FloatDraw(source.view, moved, self.gain)
        return self.calls.draw(name, function, sources, constants, picture, self._extent(var), operation)

    def _compute(self, var: Any) -> FloatPacked:
        chain = self.chains.get(var)
        channels = channels_of(var)
        if var == self.matcher.parameter:
            view = self._target(var, channels)
            function = float_ends.read_pixels(view, self.step, self.geometry, self.vectors)
            return self._write(
                var,
                "read_pixels",
                function,
                [Source(self.pixels, Picture(channels))],
                [],
                FloatPack(view, self.step),
                view,
            )
        if isinstance(chain, FloatConvChain):
            view = self._target(var, channels)
            return self._write(var, *self._convolution(chain, view, None), view)
        if isinstance(chain, FloatSumChain):
            return self._sum(var, chain)
        if isinstance(chain, FloatConcatChain):
            return self._concat(var, chain)
        view, extent = _own(channels), self._extent(var)
        function = float_ends.pack(view, self.geometry, self.vectors)
        written = self.calls.call(
            "pack", function, [self.operators.value(var)], self.calls.packed(self._tensor(view), extent), extent
        )
        return _whole(written, view)

    def _convolution(
        self, chain: FloatConvChain, view: View, pixels: Pixels | None
    ) -> tuple[str, Any, list[Source], list[np.ndarray], FloatConv]:
        """The kernel of ``chain``, into ``view`` or ``pixels``: name, function, operands, constants, operation."""
        channels, inputs, kh, kw = chain.weight.shape
        source = self.packed(chain.source)
        groups, weights = arrange_floats(chain, source.slots, source.view.count, self.vectors.dtype)
        operand = residual = None
        if chain.residual is not None:
            operand, residual = self._operand(chain.residual, channels)
        conv = FloatConv(
            source.view,
            channels,
            groups,
            (kh, kw),
            chain.pads,
            chain.dilation,
            view,
            _activation(chain.before),
            operand,
            _activation(chain.after),
            pixels,
            self.gain,
        )
        tile = choose_tile(conv, self.vectors)
        constants = [weights, chain.bias.astype(self.vectors.dtype), *self._slopes(chain.before, chain.after)]
        sources = [self._source(source, chain.pads[0], conv.reach - chain.pads[0])]
        if residual is not None:
            sources.append(self._source(residual))
        name = f"conv{len(self.kernels)}_{kh}x{kw}_{inputs * chain.groups}to{channels}"
        self.covered.add(chain.conv)
        enlarged = self.calls.enlarged(self._extent(chain.conv))
        self.kernels.append(Kernel(name, conv, math.prod(chain.weight.shape), enlarged))
        return name, float_conv.build(conv, self.geometry, self.vectors, tile), sources, constants, conv

    def _sum(self, var: Any, chain: FloatSumChain) -> FloatPacked:
        view = self._target(var, channels_of(var))
        pairs = [self._operand(term, view.count) for term in chain.terms]
        operation = FloatSum(tuple(operand for operand, _ in pairs), _activation(chain.after), view)
        function = float_ends.add(operation, self.geometry, self.vectors)
        return self._write(
            var,
            "add",
            function,
            [self._source(packed) for _, packed in pairs],
            self._slopes(chain.after),
            operation,
            view,
        )

    def _concat(self, var: Any, chain: FloatConcatChain) -> FloatPacked:
        if all(part == chain.parts[0] for part in chain.parts):
            source = self.packed(chain.parts[0])
            return FloatPacked(source.var, source.view, source.slots * len(chain.parts))
        total, start = channels_of(var), 0
        for part in chain.parts:
            view = View(total, start, channels_of(part))
            if self.places.get(part) == (var, start):
                self.packed(part)
            else:
                operand, packed = self._operand(part, view.count)
                copy = FloatSum((operand,), None, view)
                function = float_ends.add(copy, self.geometry, self.vectors)
                self._write_part(var, "copy", function, [self._source(packed)], [], copy, view)
            start += view.count
        return _whole(self.buffers[var], _own(total))

    def _operand(self, var: Any, channels: int) -> tuple[FloatOperand, FloatPacked]:
        """``var`` as a term of a sum of ``channels`` channels, and what holds it."""
        source = self.packed(var)
        rule = _rule(source.slots)
        if rule is None:
            source = self._in_order(var, source)
            rule = (1, len(source.slots))
        return FloatOperand(source.view, *rule), source

    def _in_order(self, var: Any, source: FloatPacked) -> FloatPacked:
        """A copy of ``source`` with every channel in its own place, channel by channel."""
        view, extent = _own(len(source.slots)), self._extent(var)
        buffer = None
        for channel, slot in enumerate(source.slots):
            one = FloatOperand(View(source.view.total, source.view.start + slot, 1), 1, 1)
            part = View(view.total, channel, 1)
            copy = FloatSum((one,), None, part)
            function = float_ends.add(copy, self.geometry, self.vectors)
            buffer = self.calls.launch(
                "copy", function, [self._source(source)], [], part, self._tensor(view), extent, buffer, copy
            )
        return _whole(buffer, view)

    def _known(self, value: Any) -> Any | None:
        """The plain tensor ``value`` (1, C, h, w), float32, where kernels compute it."""
        if value != self.matcher.parameter and self.chains.get(value) is None:
            return None
        source, extent = self.packed(value), self._extent(value)
        kind = relax.TensorType((1, len(source.slots), *extent), "float32")
        function = float_ends.unpack(source.slots, source.view, self.geometry, self.vectors)
        return self.calls.call("unpack", function, [source.var], kind, extent)

    # -- places and calls ----------------------------------------------------------------------------------------

    def _places(self) -> dict[Any, tuple[Any, int]]:
        """Let the kernels of a concatenation's parts write into its buffer: the concatenation and the first channel."""
        places: dict[Any, tuple[Any, int]] = {}
        for var, chain in self.chains.items():
            if not isinstance(chain, FloatConcatChain) or all(part == chain.parts[0] for part in chain.parts):
                continue
            start = 0
            for part in chain.parts:
                made = isinstance(self.chains.get(part), FloatConvChain | FloatSumChain)
                if part not in places and (made or part == self.matcher.parameter):
                    places[part] = (var, start)
                start += channels_of(part)
        return places

    def _target(self, var: Any, channels: int) -> View:
        """The channels ``var`` is written to: a buffer of its own or its part of a concatenation."""
        concat, start = self.places.get(var, (var, 0))
        return View(channels_of(concat), start, channels)

    def _write(
        self,
        var: Any,
        name: str,
        function: Any,
        sources: list[Source],
        constants: list[np.ndarray],
        operation: FloatOperation,
        view: View,
    ) -> FloatPacked:
        """Emit a kernel that computes ``var``, into a tensor of its own or into its part of a concatenation."""
        concat, _ = self.places.get(var, (None, 0))
        if concat is not None:
            return _whole(self._write_part(concat, name, function, sources, constants, operation, view), view)
        return _whole(
            self.calls.launch(
                name, function, sources, constants, view, self._tensor(view), self._extent(var), operation=operation
            ),
            view,
        )

    def _write_part(
        self,
        concat: Any,
        name: str,
        function: Any,
        sources: list[Source],
        constants: list[np.ndarray],
        operation: FloatOperation,
        view: View,
    ) -> Any:
        """Write a part of a concatenation's buffer: the first part allocates it, the others write in place."""
        self.buffers[concat] = self.calls.launch(
            name,
            function,
            sources,
            constants,
            view,
            self._tensor(view),
            self._extent(concat),
            self.buffers.get(concat),
            operation,
        )
        return self.buffers[concat]

    def _source(self, packed: FloatPacked, above: int = 0, below: int = 0) -> Source:
        return Source(packed.var, self._tensor(packed.view), above, below)

    def _tensor(self, view: View) -> Tensor:
        return Tensor(view.total, 0, self.vectors.dtype)

    def _slopes(self, *activations: Activation | None) -> list[np.ndarray]:
        return [a.slopes.astype(self.vectors.dtype) for a in activations if a is not None and a.slopes is not None]

    def _extent(self, var: Any) -> Extent:
        if var.ty.shape is None:
            raise ModelError(
                "the compiler cannot tell the size of a tensor within the network",
                hint="sizes must be whole multiples of the picture's",
            )
        return var.ty.shape[2], var.ty.shape[3]


def _own(channels: int) -> View:
    return View(channels, 0, channels)


def _whole(var: Any, view: View) -> FloatPacked:
    return FloatPacked(var, view, tuple(range(view.count)))


def _activation(activation: Activation | None) -> FloatActivation | None:
    if activation is None:
        return None
    return FloatActivation(activation.low, activation.high, activation.slopes is not None)


def _rule(slots: tuple[int, ...]) -> tuple[int, int] | None:
    """(divide, modulo) with ``slots[c] == c // divide % modulo`` for all c, if there is one."""
    modulo = max(slots) + 1
    for divide in (1, max(1, len(slots) // modulo)):
        if all(slot == channel // divide % modulo for channel, slot in enumerate(slots)):
            return divide, modulo
    return None
