"""Write the lowered ``main``: every chain becomes one call of an integer kernel on packed tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import relax

from toolchain.frontend.window import Window
from toolchain.kernels import algorithms, elementwise, ends
from toolchain.kernels.driver import Picture
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, Geometry, blocks_of
from toolchain.kernels.spec import Conv, Draw, Elementwise, Operand, Operation, Pack, Pixels, Requantize, Shuffle, View
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Calls, Extent, Source
from toolchain.lower.chain import Matcher, PixelStep, Step, per_tensor
from toolchain.lower.lowered import Choose, Kernel
from toolchain.lower.movement import pattern
from toolchain.lower.operators import Operators
from toolchain.lower.packed import Packed, filled, moved, tensor
from toolchain.lower.reading import Reading, read
from toolchain.lower.weights import arrange, fits, pad
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import (
    Activation,
    Codes,
    ConcatStep,
    ConvStep,
    InputStep,
    SelectStep,
    SumStep,
    WindowStep,
)
from toolchain.support.errors import ModelError


@dataclass(frozen=True)
class Place:
    """Where a chain must write: from block ``start`` of the buffer of the concatenation ``concat``."""

    concat: Any
    start: int


class Emitter:
    """Emits the bindings of the new ``main`` on demand, from the result backwards.

    Args:
        matcher: of the imported ``main``.
        chains: chain of every quantized variable; None where it is quantized from a float operator.
        functions: of the imported module.
        builder: inside the new function's dataflow block.
        pixels: the new parameter, uint8 (height, width, channels).
        geometry: of the packed tensors.
        dot: the instruction set's dot product.
        choose: the tiles of its convolutions.
    """

    def __init__(
        self,
        matcher: Matcher,
        chains: dict[Any, Step | None],
        functions: Any,
        builder: relax.BlockBuilder,
        pixels: Any,
        geometry: Geometry,
        dot: Dot,
        choose: Choose,
    ) -> None:
        self.matcher, self.chains, self.builder, self.pixels = matcher, chains, builder, pixels
        self.geometry, self.dot, self.choose = geometry, dot, choose
        self.calls = Calls(builder, pixels, geometry)
        self.operators = Operators(matcher, functions, self.calls, self._known)
        self.kernels: list[Kernel[Conv]] = []
        self.covered: set[Any] = set()
        self.done: dict[Any, Packed] = {}
        self.buffers: dict[Any, Any] = {}
        self.ordered: dict[Any, Packed] = {}
        self.places = self._places()

    # -- quantized tensors ---------------------------------------------------------------------------------------

    def packed(self, var: Any) -> Packed:
        """The packed form of quantized variable ``var``, computing it if that has not been done yet."""
        if var not in self.done:
            self.done[var] = self._compute(var)
        return self.done[var]

    def _compute(self, var: Any) -> Packed:
        chain = self.chains[var]
        if isinstance(chain, ConcatStep):
            return self._concat(var, chain)
        if isinstance(chain, ConvStep):
            return self._conv(var, chain)
        if isinstance(chain, SumStep):
            return self._sum(var, chain)
        if isinstance(chain, PixelStep):
            return self._shuffle(var, chain)
        if isinstance(chain, SelectStep):
            return self.packed(chain.source.tensor).select(chain.channels)
        if isinstance(chain, WindowStep):
            return self._moved(
                self.packed(chain.source.tensor),
                chain.window,
                chain.fill,
                (self._extent(chain.source.tensor), self._extent(var)),
                origin=self._origin(var),
            )
        if isinstance(chain, InputStep):
            channels, output = channels_of(var), chain.out.quantization
            view = self.target(var, channels, output)
            kernel = ends.pack_pixels(channels, view, self.geometry)
            source = Source(self.pixels, Picture(channels))
            return self._write(var, "pack_pixels", kernel, [source], [], view, channels, output, Pack(channels, view))
        return self._quantize(var)

    def _conv(self, var: Any, chain: ConvStep) -> Packed:
        channels, output, reading = chain.convolution.outputs, chain.out.quantization, self.reading(chain)
        if any(reading.cut):
            whole, view = self._read_extent(chain), View.whole(blocks_of(channels), wide=output.wide)
            name, function, sources, constants = self._convolution(chain, view, None)
            computed = self.calls.launch(
                name,
                function,
                sources,
                constants,
                view,
                tensor(view, output),
                whole,
                operation=self.kernels[-1].conv,
            )
            made = Packed(computed, view, tuple(range(channels)), output)
            cut, extents = Window((0, 0, -reading.cut[0], -reading.cut[1])), (whole, self._extent(var))
            return self._moved(made, cut, 0, extents, origin=self._resizing(chain))
        view = self.target(var, channels, output)
        name, function, sources, constants = self._convolution(chain, view, None)
        return self._write(var, name, function, sources, constants, view, channels, output, self.kernels[-1].conv)

    def reading(self, chain: ConvStep) -> Reading:
        """How the kernel of ``chain`` reads its input."""
        return read(chain, self.chains)

    def _read_extent(self, chain: ConvStep) -> Extent:
        """Height and width of what the kernel of ``chain`` computes, rows and columns that are cut off included."""
        rows, columns = self._extent(chain.accumulator)
        cut = self.reading(chain).cut
        return rows + cut[0], columns + cut[1]

    def draw(self, chain: ConvStep, pixels: Pixels) -> Any:
        """Emit the kernel of ``chain`` that ends the network; returns the variable of the picture."""
        view = View.whole(blocks_of(chain.convolution.outputs))
        name, function, sources, constants = self._convolution(chain, view, pixels)
        return self.calls.draw(
            name,
            function,
            sources,
            constants,
            Picture(pixels.channels, pixels.scale),
            self._extent(chain.accumulator),
            self.kernels[-1].conv,
        )

    def _convolution(
        self, chain: ConvStep, view: View, pixels: Pixels | None
    ) -> tuple[str, Any, list[Source], list[np.ndarray]]:
        """The kernel of ``chain``, into ``view`` or into ``pixels``: its name, function, operands, constants."""
        convolution, output, reading = chain.convolution, chain.out.quantization, self.reading(chain)
        channels = convolution.outputs
        source = self._surrounded(reading, chain)
        residual = None if chain.residual is None else self._operand(chain.residual, channels, output)
        if residual is not None and any(reading.cut):
            grown = Window((0, 0, *reading.cut))
            extents = self._extent(chain.accumulator), self._read_extent(chain)
            zero = residual[1].quantization.zero_point
            other = self._moved(residual[1], grown, zero, extents, origin=self._resizing(chain))
            residual = replace(residual[0], view=other.view), other
        requantize, slopes = self._requantize(
            chain.before, chain.after, output, None if residual is None else residual[0]
        )
        arranged = arrange(chain, source.slots, source.view.count, slopes)
        parameters = arranged.parameters
        requantize = replace(requantize, fits=fits(parameters, source.view.qmax, requantize))
        conv = Conv(
            source.view,
            blocks_of(channels) * PACK,
            arranged.groups,
            convolution.weight.shape[2:],
            reading.pads,
            convolution.dilations,
            requantize,
            view,
            pixels,
            symmetric=bool(convolution.weight.min(initial=0) > -128),
        )
        conv = replace(conv, algorithms=algorithms.admitted(conv, self.dot, parameters))
        sources = [
            source.source(conv.pads[0], conv.reach[0] - conv.pads[0]),
            *([] if residual is None else [residual[1].source()]),
        ]
        _, inputs, kh, kw = convolution.weight.shape
        name = f"conv{len(self.kernels)}_{kh}x{kw}_{inputs * convolution.group}to{channels}"
        self.covered.add(chain.accumulator)
        kernel = Kernel(name, conv, convolution.weight.size, self.calls.enlarged(self._extent(chain.accumulator)))
        tile = self.choose(kernel, self.geometry.columns)
        self.kernels.append(replace(kernel, needs=algorithms.needs(conv, self.dot, tile)))
        function = algorithms.build(conv, self.geometry, self.dot, tile)
        return name, function, sources, algorithms.arrays(parameters, conv, self.dot, tile)

    def _surrounded(self, reading: Reading, chain: ConvStep) -> Packed:
        """What a convolution reads, with its surroundings."""
        var = reading.source.tensor
        source, quantization = self.packed(var), reading.source.quantization
        if len(set(source.slots)) < len(source.slots):
            source = self._in_order(var)  # weights of a channel read twice could add up beyond int8
        if reading.added is not None:
            extents = self._extent(var), self._read_extent(chain)
            return self._moved(source, reading.added, quantization.zero_point, extents, origin=self._resizing(chain))
        border = reading.border
        if border is None:
            return source
        if border.mode == "constant":
            code = quantization.code(border.value)
            return filled(self.calls, self.geometry, source, code, self._extent(var))
        extent = self._extent(var)
        origin = self._origin(chain.source.tensor)
        return self._moved(source, Window((0, 0, 0, 0), border.mode), 0, (extent, extent), reading.margin, origin)

    def _moved(
        self,
        source: Packed,
        window: Window,
        fill: int,
        extents: tuple[Extent, Extent],
        border: int = 0,
        origin: str = "",
    ) -> Packed:
        return moved(self.calls, self.geometry, source, window, fill, extents, border, origin)

    def _origin(self, var: Any) -> str:
        """The operator whose result ``var`` is the codes of."""
        return self.matcher.origin(self.matcher.definitions[var].args[0])

    def _resizing(self, chain: ConvStep) -> str:
        """The convolution that ``chain`` is, which does not keep the picture's size."""
        origin = self.matcher.origin(chain.accumulator)
        return f"{origin} (which does not keep the picture's size)" if origin else ""

    def _sum(self, var: Any, chain: SumStep) -> Packed:
        channels, output = channels_of(var), chain.out.quantization
        view = self.target(var, channels, output)
        requantize, slopes = self._requantize(None, chain.after, output, None)
        pairs = [self._operand(term, channels, output) for term in chain.terms]
        operation = Elementwise(tuple(operand for operand, _ in pairs), requantize, view)
        constants = [] if slopes is None else [pad(slopes, view.count * PACK)]
        name = "add" if len(pairs) == 2 else "rescale"
        return self._write(
            var,
            name,
            elementwise.build(operation, self.geometry),
            [packed.source() for _, packed in pairs],
            constants,
            view,
            channels,
            output,
            operation,
        )

    def _shuffle(self, var: Any, chain: PixelStep) -> Packed:
        source, channels, output = self.packed(chain.source.tensor), chain.pixels.channels, chain.out.quantization
        view = View.whole(blocks_of(channels), wide=output.wide)
        operation = Shuffle(source.view, source.table(chain.pixels), view, output.zero_point)
        written = self.calls.shuffle(
            "depth_to_space",
            ends.shuffle(operation, self.geometry),
            source.source(),
            tensor(view, output),
            (self._extent(chain.source.tensor), self._extent(var)),
            operation,
        )
        return Packed(written, view, tuple(range(channels)), output)

    def _concat(self, var: Any, chain: ConcatStep) -> Packed:
        output = chain.out.quantization
        repeated = all(part.tensor == chain.parts[0].tensor for part in chain.parts)
        if repeated and chain.parts[0].quantization == output:
            source = self.packed(chain.parts[0].tensor)
            return Packed(source.var, source.view, source.slots * len(chain.parts), output)
        slots: list[int] = []
        block = 0
        for part in chain.parts:
            channels, place = channels_of(part.tensor), self.places.get(part.tensor)
            if place is not None and place == Place(var, block):
                self.packed(part.tensor)
            else:
                self._copy(var, part, self._part(chain, block, channels), output)
            slots += range(block * PACK, block * PACK + channels)
            block += blocks_of(channels)
        return Packed(self.buffers[var], View.whole(block, wide=output.wide), tuple(slots), output)

    def _copy(self, concat: Any, term: Codes, view: View, output: Quantization) -> None:
        """Write ``term`` into its part of a concatenation, changing its scale where that differs."""
        requantize, _ = self._requantize(None, None, output, None)
        operand, packed = self._operand(term, channels_of(term.tensor), output)
        operation = Elementwise((operand,), requantize, view)
        kernel = elementwise.build(operation, self.geometry)
        self._write_buffer(concat, "rescale", kernel, [packed.source()], [], view, output, operation)

    def _quantize(self, var: Any) -> Packed:
        """A float operator's result, quantized and packed."""
        call = self.matcher.definitions[var]
        output = per_tensor(call)
        if output is None:
            raise ModelError(
                "an activation is quantized per channel or not as uint8 or uint16",
                hint="quantize activations per tensor",
            )
        channels = int(var.ty.shape[1])
        value = self.operators.value(call.args[0])
        view = self.target(var, channels, output)
        requantize, _ = self._requantize(None, None, output, None)
        kernel = ends.quantize(channels, view, self.geometry, requantize, output.scale)
        extent = self._extent(var)
        kind = self.calls.packed(tensor(view, output), extent)
        written = self.calls.call("quantize", kernel, [value], kind, extent)
        return Packed(written, view, tuple(range(channels)), output)

    def _operand(self, term: Codes, channels: int, output: Quantization) -> tuple[Operand, Packed]:
        """``term`` as an operand of a kernel with ``channels`` outputs, and what holds it."""
        source = self.packed(term.tensor)
        multiplier = float(np.float32(np.float64(term.quantization.scale) / np.float64(output.scale)))
        if pattern(source.slots) is None:
            source = self._in_order(term.tensor)
        slots = source.slots * (channels if len(source.slots) == 1 else 1)
        rule = pattern(slots)
        if rule is None or len(slots) != channels:
            raise ModelError(
                f"a tensor of {len(source.slots)} channels is added to one of {channels}",
                hint="only a single channel can be added to all",
            )
        return Operand(source.view, *rule, term.quantization.zero_point, multiplier), source

    def _in_order(self, var: Any) -> Packed:
        """A copy of ``var`` with channel c in slot c, for a concatenation whose parts end inside of a word."""
        if var not in self.ordered:
            source, extent = self.packed(var), self._extent(var)
            zero, qmax = source.quantization.zero_point, source.quantization.qmax
            view = View.whole(blocks_of(len(source.slots)), wide=source.view.wide)
            operand = Operand(source.view, 1, 1, zero, 1.0, source.slots)
            operation = Elementwise((operand,), Requantize(-zero, qmax - zero, zero), view)
            kernel = elementwise.build(operation, self.geometry)
            copy = self.calls.launch(
                "reorder",
                kernel,
                [source.source()],
                [],
                view,
                tensor(view, source.quantization),
                extent,
                operation=operation,
            )
            self.ordered[var] = Packed(copy, view, tuple(range(len(source.slots))), source.quantization)
        return self.ordered[var]

    @staticmethod
    def _requantize(
        before: Activation | None, after: Activation | None, output: Quantization, residual: Operand | None
    ) -> tuple[Requantize, np.ndarray | None]:
        """The epilogue: the activation that comes last becomes bounds on the codes."""
        scale, zero = np.float64(output.scale), output.zero_point
        slopes = next((a.slopes for a in (after, before) if a is not None and a.slopes is not None), None)
        low, high = -zero, output.qmax - zero
        if after is not None and after.slopes is None:
            low = max(low, int(np.rint(max(after.low / scale, -1e9))))
            high = min(high, int(np.rint(min(after.high / scale, 1e9))))
        bounds = None
        if before is not None and before.slopes is None:
            bounds = (float(np.float32(before.low / scale)), float(np.float32(before.high / scale)))
        return Requantize(low, high, zero, slopes is not None, bounds, residual), slopes

    # -- float tensors -------------------------------------------------------------------------------------------

    def _known(self, value: Any) -> Any | None:
        """The float tensor ``value`` where it is a dequantized one."""
        if value == self.matcher.parameter:
            raise ModelError(
                "the network's input is used before it is quantized",
                hint="quantize the input first, as every exporter of QDQ models does",
            )
        if self.matcher.is_call(value, "relax.dequantize"):
            return self._dequantize(value, self.matcher.definitions[value])
        return None

    def _dequantize(self, value: Any, call: Any) -> Any:
        if not isinstance(call.args[0], relax.Var):
            codes, scale, zero = (argument.value.numpy() for argument in call.args)
            shape = [-1 if axis == int(call.attrs.axis) % max(codes.ndim, 1) else 1 for axis in range(codes.ndim)]
            scale, zero = (array.reshape(shape if array.size > 1 else [1] * codes.ndim) for array in (scale, zero))
            real = (codes.astype(np.int64) - zero.astype(np.int64)).astype(np.float32) * scale
            return relax.const(real.astype(np.float32), "float32")
        source = self.packed(call.args[0])
        channels = int(value.ty.shape[1])
        extent = self._extent(value)
        if source.slots != tuple(range(channels)):
            parts = relax.const(np.asarray(source.slots), "int64")
            whole = self._unpack(source, source.view.count * PACK, extent)
            return self.builder.emit(relax.op.take(whole, parts, axis=1))
        return self._unpack(source, channels, extent)

    def _unpack(self, source: Packed, channels: int, extent: Extent) -> Any:
        kernel = ends.unpack(
            channels, source.view, self.geometry, source.quantization.scale, source.quantization.zero_point
        )
        result = relax.TensorType((1, channels, *extent), "float32")
        return self.calls.call("unpack", kernel, [source.var], result, extent)

    # -- places and calls ----------------------------------------------------------------------------------------

    def _places(self) -> dict[Any, Place]:
        """Let the producers of a concatenation's parts write into its buffer, where they share its quantization."""
        places: dict[Any, Place] = {}
        for var, chain in self.chains.items():
            if not isinstance(chain, ConcatStep) or all(p.tensor == chain.parts[0].tensor for p in chain.parts):
                continue
            block = 0
            for part in chain.parts:
                producer = self.chains.get(part.tensor)
                writes = isinstance(producer, ConvStep | SumStep | InputStep)
                writes &= not (isinstance(producer, ConvStep) and any(self.reading(producer).cut))
                if writes and part.quantization == chain.out.quantization and part.tensor not in places:
                    places[part.tensor] = Place(var, block)
                block += blocks_of(channels_of(part.tensor))
        return places

    @staticmethod
    def _part(chain: ConcatStep, start: int, channels: int) -> View:
        """The blocks of ``channels`` channels of a concatenation, from block ``start`` on."""
        blocks = sum(blocks_of(channels_of(part.tensor)) for part in chain.parts)
        whole = View.whole(blocks, wide=chain.out.quantization.wide)
        return replace(whole, start=start, count=blocks_of(channels))

    def target(self, var: Any, channels: int, output: Quantization) -> View:
        """The blocks ``var`` is written to: a buffer of its own or its part of a concatenation."""
        place = self.places.get(var)
        if place is None:
            return View.whole(blocks_of(channels), wide=output.wide)
        chain = self.chains[place.concat]
        assert isinstance(chain, ConcatStep)
        return self._part(chain, place.start, channels)

    def _write(
        self,
        var: Any,
        name: str,
        function: Any,
        sources: list[Source],
        constants: list[np.ndarray],
        view: View,
        channels: int,
        output: Quantization,
        operation: Operation,
    ) -> Packed:
        """Emit a kernel that computes ``var``, into a tensor of its own or into its part of a concatenation."""
        place = self.places.get(var)
        if place is None:
            written = self.calls.launch(
                name, function, sources, constants, view, tensor(view, output), self._extent(var), operation=operation
            )
        else:
            written = self._write_buffer(place.concat, name, function, sources, constants, view, output, operation)
        return Packed(written, view, tuple(range(channels)), output)

    def _write_buffer(
        self,
        concat: Any,
        name: str,
        function: Any,
        sources: list[Source],
        constants: list[np.ndarray],
        view: View,
        output: Quantization,
        operation: Operation,
    ) -> Any:
        """Write a part of a concatenation's buffer: the first part allocates it, the others write in place."""
        self.buffers[concat] = self.calls.launch(
            name,
            function,
            sources,
            constants,
            view,
            tensor(view, output),
            self._extent(concat),
            self.buffers.get(concat),
            operation,
        )
        return self.buffers[concat]

    def _extent(self, var: Any) -> Extent:
        """Height and width of a variable (1, C, h, w) of the imported module."""
        if var.ty.shape is None:
            raise ModelError(
                "the compiler cannot tell the size of a tensor within the network",
                hint="sizes must be whole multiples of the picture's",
            )
        return var.ty.shape[2], var.ty.shape[3]

    def store(self, source: Packed, pixels: Pixels, codes: Any) -> Any:
        """Emit the kernel that turns the packed form of the variable ``codes`` into the picture."""
        operation = Draw(source.view, source.table(pixels))
        kernel = ends.store_pixels(source.view, self.geometry, operation.pixels)
        return self.calls.draw(
            "store_pixels",
            kernel,
            [source.source()],
            [],
            Picture(pixels.channels, pixels.scale),
            self._extent(codes),
            operation,
        )
