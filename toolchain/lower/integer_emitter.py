"""Write the lowered ``main`` of a quantized network: every chain becomes one call of an integer kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from toolchain.frontend.window import Window
from toolchain.kernels import algorithms, boundary, lookup
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.layout import PACK, Geometry, blocks_of
from toolchain.kernels.network import Picture, Tensor
from toolchain.kernels.spec import (
    Addend,
    Conv,
    DepthToSpace,
    Draw,
    Operand,
    Pack,
    Shuffle,
    View,
)
from toolchain.lower.averages import emit_average
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Extent, Invocation, Source
from toolchain.lower.chain import DepthToSpaceStep, Matcher, per_tensor
from toolchain.lower.channel_pools import pooled_channels
from toolchain.lower.down import all_phases, divides, growth, in_phases, pool_kernel, steps_through, with_least
from toolchain.lower.emitter import Emitter, Imported
from toolchain.lower.lowered import Choose
from toolchain.lower.mixed import count_fine, is_coarse
from toolchain.lower.normalization_emitter import normalized
from toolchain.lower.packed import Packed, filled, moved, reordered
from toolchain.lower.pair_emitter import PairStep, combined, emit_pool
from toolchain.lower.pairs import is_single
from toolchain.lower.pixel_order import in_pixel_order
from toolchain.lower.reading import Reading, read
from toolchain.lower.requantization import requantization
from toolchain.lower.resize_emitter import emit_resize, streams
from toolchain.lower.weights import arrange, fits
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import (
    AverageStep,
    ChannelPoolStep,
    Codes,
    ConcatStep,
    ConvStep,
    ExtremeStep,
    GlobalPoolStep,
    InputStep,
    NormalizationStep,
    PoolStep,
    ProductStep,
    ResizeStep,
    SelectStep,
    SpaceToDepthStep,
    SumStep,
    TableStep,
    WindowStep,
)
from toolchain.support.errors import ModelError


class IntegerEmitter(Emitter[Matcher, Conv]):
    """Emits integer kernels, see `Emitter`.

    Args:
        imported, builder, pixels, geometry: of `Emitter`.
        dot: the instruction set's dot product.
        choose: the tiles of its convolutions.
    """

    packing = PACK

    def __init__(
        self,
        imported: Imported[Matcher],
        builder: relax.BlockBuilder,
        pixels: Any,
        geometry: Geometry,
        dot: Dot,
        choose: Choose,
    ) -> None:
        super().__init__(imported, builder, pixels, geometry)
        self.dot, self.choose = dot, choose
        self._phased: dict[Any, Packed] = {}
        self._mixed: dict[Any, int | None] = {}

    def tensor(self, var: Any) -> Tensor:
        """Return the buffer that holds ``var`` alone."""
        output, blocks = self._output(var), self.blocks(var)
        total = 2 * blocks if output.wide else blocks
        return Tensor(total, output.zero_point, wide=output.wide, single=is_single(var))

    def parts(self, var: Any) -> tuple[Any, ...]:
        """Return the variables whose channels ``var`` joins."""
        chain = self.chains[var]
        return tuple(part.tensor for part in chain.parts) if isinstance(chain, ConcatStep) else ()

    def kept(self, var: Any, index: int) -> bool:
        """Return whether a part has the quantization of the concatenation, or is stored as if it had."""
        part, output = self.chains[var].parts[index].quantization, self._output(var)
        return bool(part == output or (self._fine(var) is not None and is_coarse(part, output)))

    def whole(self, var: Any) -> View:
        """Return the blocks of the concatenation ``var``."""
        return replace(self.tensor(var).view, fine=self._fine(var))

    def part(self, concat: Any, start: int, part: Any) -> View:
        """Return the blocks of ``part`` in the buffer of a concatenation, from block ``start`` on."""
        view = super().part(concat, start, part)
        return view if self._fine(concat) is None else replace(view, wide=self._output(part).wide)

    def _fine(self, var: Any) -> int | None:
        """Return in how many blocks of a concatenation low bytes have to be stored; None: in all."""
        if var not in self._mixed:
            self._mixed[var] = count_fine(self.matcher, self.chains, var, self.dot)
        return self._mixed[var]

    def convolves(self, var: Any) -> bool:
        """Return whether ``var`` is all that a convolution's kernel computes: nothing of it is cut off."""
        chain = self.chains[var]
        return isinstance(chain, ConvStep) and not self._cuts(chain)

    def writes(self, var: Any) -> bool:
        """Return whether the kernel of ``var`` can write into the buffer of a concatenation."""
        chain = self.chains.get(var)
        if isinstance(chain, PoolStep):
            return min(growth(chain)) >= 0
        kinds = PairStep | TableStep | InputStep | DepthToSpaceStep | NormalizationStep | ChannelPoolStep
        return isinstance(chain, kinds) or self.convolves(var) or (isinstance(chain, ResizeStep) and streams(chain))

    def compute(self, var: Any) -> Packed:
        """Emit what computes ``var``."""
        chain = self.chains[var]
        match chain:
            case ConvStep():
                return self._conv(var, chain)
            case SumStep() | ProductStep() | ExtremeStep():
                return self.write(var, combined(self, chain, self.target(var)))
            case GlobalPoolStep():
                return emit_pool(self, var, chain)
            case AverageStep():
                return emit_average(self, var, chain)
            case ChannelPoolStep():
                return self.write(var, pooled_channels(self, chain, self.target(var)))
            case NormalizationStep():
                return self.write(var, normalized(self, chain, self.target(var)))
            case TableStep():
                return self.write(var, self._table(chain, self.target(var)))
            case InputStep():
                channels, view = channels_of(var), self.target(var)
                kernel = boundary.pack_pixels(channels, view, self.geometry)
                source = Source(self.pixels, Picture(channels))
                return self.write(var, Invocation("pack_pixels", kernel, (source,), Pack(channels, view)))
            case DepthToSpaceStep(source=given):
                return self._shuffle(var, self.packed(given.tensor), chain)
            case ResizeStep():
                return emit_resize(self, var, chain)
            case SpaceToDepthStep(source=given, size=size):
                plain = self.packed(given.tensor)
                return all_phases(plain, self.phased(plain, size, self.extent(var)), size)
            case PoolStep():
                return self._pool(var, chain)
            case SelectStep(source=given):
                return self.packed(given.tensor).select(chain.channels)
            case WindowStep(source=given):
                extents = self.extent(given.tensor), self.extent(var)
                origin = self._origin(var)
                return moved(self.calls, self.packed(given.tensor), chain.window, chain.fill, extents, origin=origin)
        return self._quantize(var)

    def convolution(self, chain: ConvStep, view: View, pixels: DepthToSpace | None) -> Invocation:
        """Return the kernel of ``chain``, into ``view`` or into ``pixels``."""
        given, output, reading = chain.convolution, chain.out.quantization, self._reading(chain)
        source = self._surrounded(reading, chain)
        operand, residual = None, None
        if chain.residual is not None:
            operand, residual = self.term(chain.residual, given.outputs, output)
        if operand is not None and residual is not None and self._cuts(chain):
            grown, zero = Window((0, 0, *reading.cut)), residual.tensor.zero_point
            extents = self.extent(chain.accumulator), self._read_extent(chain)
            residual = moved(self.calls, residual, grown, zero, extents, origin=self._resizing(chain))
            operand = replace(operand, view=residual.view)
        requantize, slopes = requantization(chain.before, chain.after, output, operand)
        arranged = arrange(chain, source.slots, source.view.count, slopes)
        if given.strides != (1, 1):
            rows, columns = self._read_extent(chain)
            source = self.phased(source, given.strides[0], (rows, columns))
        parameters = arranged.parameters
        if pixels is not None and arranged.groups == 1:
            pixels, parameters, operand = in_pixel_order(pixels, parameters, operand)
            requantize = replace(requantize, residual=operand)
        conv = Conv(
            source.view,
            blocks_of(given.outputs) * PACK,
            arranged.groups,
            given.weight.shape[2:],
            reading.pads,
            given.dilations,
            replace(requantize, fits=fits(parameters, source.view.qmax, requantize)),
            view,
            pixels,
            symmetric=bool(given.weight.min(initial=0) > -128),
            stride=given.strides,
        )
        conv = replace(conv, algorithms=algorithms.admitted(conv, self.dot, parameters))
        kernel = self.kernel(chain.accumulator, given, conv)
        tile = self.choose(kernel, self.geometry.columns)
        self.kernels.append(replace(kernel, needs=algorithms.needs(conv, self.dot, tile)))
        function = algorithms.build(conv, self.geometry, self.dot, tile)
        arrays = algorithms.arrays(parameters, conv, self.dot, tile)
        others = [] if residual is None else [residual]
        return Invocation(kernel.name, function, self.sources(source, conv, others), conv, tuple(arrays))

    def copy(self, var: Any, index: int, view: View) -> Invocation:
        """Return what writes a part of a concatenation, changing its scale where that differs."""
        part, output = self.chains[var].parts[index], self._output(var)
        if self.kept(var, index):
            output = part.quantization
        return combined(self, SumStep(Codes(part.tensor, output), (part,), None), view)

    def store(self, source: Packed, pixels: DepthToSpace) -> Invocation:
        """Return what makes the picture of ``source``."""
        kernel = boundary.store_pixels(source.view, self.geometry, pixels)
        return Invocation("store_pixels", kernel, (source.source(),), Draw(source.view, pixels))

    def reorder(self, source: Packed, extent: Extent) -> Packed:
        """Emit a copy with channel c in slot c, for a concatenation whose parts end inside of a word."""
        return reordered(self.calls, self.dot, source, extent)

    def known(self, value: Any) -> Any | None:
        """Return the float tensor ``value`` where it is a dequantized one."""
        if value == self.matcher.parameter:
            raise ModelError(
                "the network's input is used before it is quantized",
                hint="quantize the input first, as every exporter of QDQ models does",
            )
        if not self.matcher.is_call(value, "relax.dequantize"):
            return None
        call = self.matcher.definitions[value]
        if isinstance(call.args[0], relax.Var):
            return self._dequantize(call.args[0])
        codes, scale, zero = (argument.value.numpy() for argument in call.args)
        shape = [-1 if axis == int(call.attrs.axis) % max(codes.ndim, 1) else 1 for axis in range(codes.ndim)]
        scale, zero = (array.reshape(shape if array.size > 1 else [1] * codes.ndim) for array in (scale, zero))
        real = (codes.astype(np.int64) - zero.astype(np.int64)).astype(np.float32) * scale
        return relax.const(real.astype(np.float32), "float32")

    def _dequantize(self, var: Any) -> Any:
        """Return the plain tensor of a packed one."""
        source, given, channels = self.packed(var), self._output(var), channels_of(var)
        straight = source.slots == tuple(range(channels))
        taken = channels if straight else source.view.count * PACK
        kernel = boundary.unpack(taken, source.view, self.geometry, given.scale, given.zero_point)
        whole = self.leave(source, kernel, taken, self.extent(var))
        if straight:
            return whole
        return self.calls.builder.emit(relax.op.take(whole, relax.const(np.asarray(source.slots), "int64"), axis=1))

    def _conv(self, var: Any, chain: ConvStep) -> Packed:
        """Return a convolution, and what is cut off of it."""
        given, cut = self.convolution(chain, self.target(var), None), self._reading(chain).cut
        if not self._cuts(chain):
            return self.write(var, given)
        tensor, whole = self.tensor(var), self._read_extent(chain)
        computed = self.calls.launch(given, tensor.view, tensor, whole)
        packed = Packed(computed, tensor.view, tuple(range(channels_of(var))), tensor)
        window, extents = Window((0, 0, -cut[0], -cut[1])), (whole, self.extent(var))
        return moved(self.calls, packed, window, 0, extents, origin=self._resizing(chain))

    def phased(self, source: Packed, size: int, extent: Extent) -> Packed:
        """Return a packed tensor in phases, which are laid out once; ``extent``: of the result."""
        key = source.var, source.view, size
        if key not in self._phased:
            self._phased[key] = in_phases(self.calls, source, size, extent)
        return replace(self._phased[key], slots=source.slots)

    def _pool(self, var: Any, chain: PoolStep) -> Packed:
        """Return the largest codes of windows, and what is cut off of them."""
        given, steps, grown, whole = chain.source.tensor, chain.strides[0], growth(chain), self.extent(var)
        source = self.packed(given)
        if source.slots != tuple(range(channels_of(given))):
            source = self.in_order(given)
        source = with_least(self.calls, self.dot, chain, source, self.extent(given))
        wide = whole[0] + max(-grown[0], 0), whole[1] + max(-grown[1], 0)
        origin, even = self._origin(var), divides(self.matcher, given, steps)
        if not even:
            wide = steps_through(self.extent(given), steps, grown)
        if max(grown) > 0 or not even:  # codes of 0 at the end, which pools pass over
            added = Window((0, 0, max(grown[0], 0) * steps, max(grown[1], 0) * steps))
            extents = self.extent(given), (wide[0] * steps, wide[1] * steps)
            source = moved(self.calls, source, added, 0, extents, origin=origin)
        if steps > 1:
            source = self.phased(source, steps, wide)
        if min(grown) >= 0 and even:
            return self.write(var, pool_kernel(chain, source, self.target(var), self.calls, self.dot.lanes))
        tensor = self.tensor(var)
        kernel = pool_kernel(chain, source, tensor.view, self.calls, self.dot.lanes)
        made = self.calls.launch(kernel, tensor.view, tensor, wide)
        packed = Packed(made, tensor.view, tuple(range(channels_of(var))), tensor)
        cut = Window((0, 0, min(grown[0], 0), min(grown[1], 0)))
        return moved(self.calls, packed, cut, 0, (wide, whole), origin=origin)

    def _reading(self, chain: ConvStep) -> Reading:
        """How the kernel of ``chain`` reads its input."""
        return read(chain, self.chains)

    def _read_extent(self, chain: ConvStep) -> Extent:
        """Height and width of what the kernel of ``chain`` computes, rows and columns that are cut off included."""
        (rows, columns), cut = self.extent(chain.accumulator), self._reading(chain).cut
        if not self._even(chain):
            return steps_through(self.extent(chain.source.tensor), chain.convolution.strides[0], growth(chain))
        return rows + cut[0], columns + cut[1]

    def _even(self, chain: ConvStep) -> bool:
        """Whether a convolution steps through whole multiples of its stride."""
        stride = chain.convolution.strides[0]
        return stride == 1 or divides(self.matcher, chain.source.tensor, stride)

    def _cuts(self, chain: ConvStep) -> bool:
        """Whether some of what a convolution's kernel computes is no result."""
        return any(self._reading(chain).cut) or not self._even(chain)

    def _surrounded(self, reading: Reading, chain: ConvStep) -> Packed:
        """Return what a convolution reads, with its surroundings."""
        var, border = reading.source.tensor, reading.border
        source, quantization, extent = self.packed(var), reading.source.quantization, self.extent(var)
        if len(set(source.slots)) < len(source.slots):
            source = self.in_order(var)  # weights of a channel read twice could add up beyond int8
        if reading.added is not None or not self._even(chain):
            (rows, columns), steps = self._read_extent(chain), chain.convolution.strides[0]
            extents = extent, (rows * steps, columns * steps)
            zero, origin = quantization.zero_point, self._resizing(chain)
            return moved(self.calls, source, reading.added or Window((0, 0, 1, 1)), zero, extents, origin=origin)
        if border is None:
            return source
        if border.mode == "constant":
            return filled(self.calls, self.dot, source, quantization.code(border.value), extent)
        window, origin = Window((0, 0, 0, 0), border.mode), self._origin(chain.source.tensor)
        return moved(self.calls, source, window, 0, (extent, extent), reading.margin, origin)

    def _origin(self, var: Any) -> str:
        """Return the operator whose result ``var`` is the codes of."""
        return self.matcher.origin(self.matcher.definitions[var].args[0])

    def _resizing(self, chain: ConvStep) -> str:
        """Return the convolution that ``chain`` is, which does not keep the picture's size."""
        origin = self.matcher.origin(chain.accumulator)
        return f"{origin} (which does not keep the picture's size)" if origin else ""

    def _table(self, step: TableStep, view: View) -> Invocation:
        """Return the kernel of ``step``, into ``view``."""
        source, divide, modulo = self.operand(step.source.tensor, channels_of(step.out.tensor))
        addend = Addend(source.view, divide, modulo)
        operation, table = lookup.lookup(step.table, addend, step.out.quantization.zero_point, view)
        arrays = (lookup.laid(operation, table, self.dot),)
        return Invocation(
            "lookup", lookup.build(operation, self.geometry, self.dot), (source.source(),), operation, arrays
        )

    def _shuffle(self, var: Any, source: Packed, chain: DepthToSpaceStep) -> Packed:
        """Depth-to-space of ``source``."""
        view, zero = self.target(var), chain.out.quantization.zero_point
        operation = Shuffle(source.view, source.table(chain.pixels), view, zero)
        kernel, scale = boundary.shuffle(operation, self.geometry), chain.pixels.scale
        given = Invocation("depth_to_space", kernel, (source.source(),), operation, scale=scale)
        return self.write(var, given, self.extent(chain.source.tensor))

    def _quantize(self, var: Any) -> Packed:
        """Return a float operator's result, quantized and packed."""
        output, channels = self._output(var), channels_of(var)
        requantize, _ = requantization(None, None, output, None)
        value = self.operators.value(self.matcher.definitions[var].args[0])
        kernel = boundary.quantize(channels, self.tensor(var).view, self.geometry, requantize, output.scale)
        return self.enter(var, "quantize", kernel, value)

    def term(self, term: Codes, channels: int, output: Quantization) -> tuple[Operand, Packed]:
        """``term`` as an operand of a kernel with ``channels`` outputs, and what holds it."""
        source, divide, modulo = self.operand(term.tensor, channels)
        multiplier = float(np.float32(np.float64(term.quantization.scale) / np.float64(output.scale)))
        return Operand(source.view, divide, modulo, term.quantization.zero_point, multiplier), source

    def _output(self, var: Any) -> Quantization:
        """Return the quantization of ``var``."""
        output = per_tensor(self.matcher.definitions[var])
        if output is None:
            raise ModelError(
                "an activation is quantized per channel or not as uint8 or uint16",
                hint="quantize activations per tensor",
            )
        return output
