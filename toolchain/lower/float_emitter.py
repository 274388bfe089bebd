"""Write the lowered ``main`` of a float network: every chain becomes one call of a float kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from toolchain.kernels import float_algorithms, float_boundary
from toolchain.kernels.float_spec import FloatConv, FloatDraw, FloatPack, FloatShuffle, FloatSum
from toolchain.kernels.float_tile import choose_tile
from toolchain.kernels.formula import Compute, FloatStage
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Picture, Tensor
from toolchain.kernels.spec import Add, Addend, DepthToSpace, View
from toolchain.kernels.vectors import Vectors
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Extent, Invocation, Source
from toolchain.lower.emitter import Emitter, Imported
from toolchain.lower.float_chain import (
    FloatConcatChain,
    FloatConvChain,
    FloatMatcher,
    FloatRegionChain,
    FloatSelectChain,
    FloatShuffleChain,
)
from toolchain.lower.float_down import (
    FloatPoolChain,
    FloatResizeChain,
    SizedChain,
    emit_sized,
    phased,
    stepped,
    written,
)
from toolchain.lower.float_layers import FloatNormalizationChain, LayerChain, emit_layer
from toolchain.lower.float_region import Region, stages_of
from toolchain.lower.packed import Packed
from toolchain.lower.pairs import is_single
from toolchain.lower.weights import arrange_floats


class FloatEmitter(Emitter[FloatMatcher, FloatConv]):
    """Emits float kernels, see `Emitter`.

    Args:
        imported, builder, pixels, geometry: of `Emitter`.
        vectors: the instruction set's.
        white: the network's number for a pixel of 255; 0 is black.
    """

    packing = 1

    def __init__(
        self,
        imported: Imported[FloatMatcher],
        builder: relax.BlockBuilder,
        pixels: Any,
        geometry: Geometry,
        vectors: Vectors,
        white: float,
    ) -> None:
        super().__init__(imported, builder, pixels, geometry)
        self.vectors, self.step, self.gain = vectors, white / 255.0, 255.0 / white
        self._phased: dict[Any, Packed] = {}

    def tensor(self, var: Any) -> Tensor:
        """Return the buffer that holds ``var`` alone."""
        return Tensor(self.blocks(var), 0, self.vectors.dtype, single=is_single(var))

    def parts(self, var: Any) -> tuple[Any, ...]:
        """Return the variables whose channels ``var`` joins."""
        chain = self.chains.get(var)
        return chain.parts if isinstance(chain, FloatConcatChain) else ()

    def kept(self, var: Any, index: int) -> bool:
        """Return True: numbers are what they are."""
        return True

    def convolves(self, var: Any) -> bool:
        """Return whether ``var`` is what a convolution's kernel computes."""
        chain = self.chains.get(var)
        return isinstance(chain, FloatConvChain) and self.matcher.keeps(chain)

    def writes(self, var: Any) -> bool:
        """Return whether the kernel of ``var`` can write into the buffer of a concatenation."""
        chain = self.chains.get(var)
        if isinstance(chain, FloatConvChain | FloatPoolChain):
            return self.matcher.keeps(chain)
        streaming = FloatRegionChain | FloatShuffleChain | FloatResizeChain | FloatNormalizationChain
        return var == self.matcher.parameter or isinstance(chain, streaming)

    def compute(self, var: Any) -> Packed:
        """Emit what computes ``var``."""
        chain, view = self.chains.get(var), self.target(var)
        if var == self.matcher.parameter:
            kernel = float_boundary.read_pixels(view, self.step, self.geometry, self.vectors)
            source = Source(self.pixels, Picture(view.count))
            return self.write(var, Invocation("read_pixels", kernel, (source,), FloatPack(view, self.step)))
        if isinstance(chain, FloatConvChain):
            return written(self, var, chain.source, chain.steps, self.convolution(chain, view, None))
        if isinstance(chain, FloatRegionChain):
            return self.write(var, self._combined(chain.region, view))
        if isinstance(chain, FloatShuffleChain):
            return self._shuffle(var, chain)
        if isinstance(chain, FloatSelectChain):
            return self.packed(chain.source).select(chain.channels, self.packing)
        if isinstance(chain, SizedChain):
            return emit_sized(self, var, chain)
        if isinstance(chain, LayerChain):
            return emit_layer(self, var, chain)
        kernel = float_boundary.pack(view, self.geometry, self.vectors)
        return self.enter(var, "pack", kernel, self.operators.value(var))

    def convolution(self, chain: FloatConvChain, view: View, pixels: DepthToSpace | None) -> Invocation:
        """Return the kernel of ``chain``, into ``view`` or into ``pixels``."""
        given, source = chain.convolution, self.packed(chain.source)
        groups, weights = arrange_floats(given, source.slots, source.view.count, self.vectors.dtype)
        source = stepped(self, chain.accumulator, chain.source, source, chain.steps, 0.0)
        stages, others, further = self._following(chain.region, given.outputs)
        conv = FloatConv(
            source.view,
            given.outputs,
            groups,
            given.weight.shape[2:],
            given.pads[:2],
            given.dilations,
            view,
            stages,
            pixels,
            self.gain,
            stride=given.strides,
        )
        tile = choose_tile(conv, self.vectors)
        needs = float_algorithms.needs(conv, self.vectors, tile)
        kernel = replace(self.kernel(chain.accumulator, given, conv), needs=needs)
        self.kernels.append(kernel)
        function = float_algorithms.build(conv, self.geometry, self.vectors, tile)
        arrays = float_algorithms.weights(weights, groups, tile), given.bias.astype(self.vectors.dtype), *further
        return Invocation(kernel.name, function, self.sources(source, conv, others), conv, arrays)

    def copy(self, var: Any, index: int, view: View) -> Invocation:
        """Return what writes a part of a concatenation."""
        operand, packed = self._operand(self.chains[var].parts[index], view.count)
        return self._sum("copy", FloatSum((operand,), (), view), (packed,))

    def store(self, source: Packed, pixels: DepthToSpace) -> Invocation:
        """Return what makes the picture of ``source``."""
        kernel = float_boundary.store_pixels(source.view, pixels, self.gain, self.geometry, self.vectors)
        operation = FloatDraw(source.view, pixels, self.gain)
        return Invocation("store_pixels", kernel, (source.source(),), operation)

    def reorder(self, source: Packed, extent: Extent) -> Packed:
        """Emit a copy with every channel in its own place, channel by channel."""
        tensor, buffer = Tensor(len(source.slots), 0, self.vectors.dtype), None
        for channel, slot in enumerate(source.slots):
            one = Addend(View(source.view.total, source.view.start + slot, 1), 1, 1)
            view = View(tensor.blocks, channel, 1)
            given = self._sum("copy", FloatSum((one,), (), view), (source,))
            buffer = self.calls.launch(given, view, tensor, extent, buffer)
        return Packed(buffer, tensor.view, tuple(range(tensor.blocks)), tensor)

    def known(self, value: Any) -> Any | None:
        """Return the plain tensor ``value`` where kernels compute it."""
        if value != self.matcher.parameter and self.chains.get(value) is None:
            return None
        source = self.packed(value)
        kernel = float_boundary.unpack(source.slots, source.view, self.geometry, self.vectors)
        return self.leave(source, kernel, channels_of(value), self.extent(value))

    def phased(self, source: Packed, size: int, extent: Extent) -> Packed:
        """Return a packed tensor in phases, which are laid out once; ``extent``: of the result."""
        key = source.var, source.view, size
        if key not in self._phased:
            self._phased[key] = phased(self, source, size, extent)
        return replace(self._phased[key], slots=tuple(slot * size**2 for slot in source.slots))

    def _sum(self, name: str, operation: FloatSum, sources: Sequence[Packed], *arrays: np.ndarray) -> Invocation:
        """Return the kernel of ``operation``."""
        kernel = float_boundary.add(operation, self.geometry, self.vectors)
        return Invocation(name, kernel, tuple(packed.source() for packed in sources), operation, arrays)

    def _combined(self, region: Region, view: View) -> Invocation:
        """Return the kernel of a region, into ``view``."""
        first, source = self._operand(region.leaves[0], view.count)
        stages, others, arrays = self._following(region, view.count)
        operands = [first]
        if stages and isinstance(stages[0], Add):
            operands, stages = [first, stages[0].operand], stages[1:]
        name = "add" if len(operands) == 2 or not stages or not isinstance(stages[0], Compute) else "combine"
        return self._sum(name, FloatSum(tuple(operands), stages, view), (source, *others), *arrays)

    def _following(
        self, region: Region | None, channels: int
    ) -> tuple[tuple[FloatStage, ...], list[Packed], list[np.ndarray]]:
        """Return the stages of a region, what they read, and their arrays."""
        if region is None:
            return (), [], []
        pairs = [self._operand(leaf, channels) for leaf in region.leaves[1:]]
        stages, order = stages_of(region, [addend for addend, _ in pairs])
        arrays = [np.broadcast_to(array, channels).astype(self.vectors.dtype) for array in region.arrays]
        return stages, [pairs[index][1] for index in order], arrays

    def _shuffle(self, var: Any, chain: FloatShuffleChain) -> Packed:
        """Return a depth-to-space."""
        source, view = self.packed(chain.source), self.target(var)
        operation = FloatShuffle(source.view, source.table(chain.pixels), view)
        kernel, scale = float_boundary.shuffle(operation, self.geometry, self.vectors), chain.pixels.scale
        given = Invocation("depth_to_space", kernel, (source.source(),), operation, scale=scale)
        return self.write(var, given, self.extent(chain.source))

    def _operand(self, var: Any, channels: int) -> tuple[Addend, Packed]:
        """``var`` as a term of a sum of ``channels`` channels, and what holds it."""
        source, divide, modulo = self.operand(var, channels)
        return Addend(source.view, divide, modulo, single=source.tensor.single), source
