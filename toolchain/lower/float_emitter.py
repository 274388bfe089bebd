"""Write the lowered ``main`` of a float network: every chain becomes one call of a float kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relax

from toolchain.kernels import float_algorithms, float_boundary
from toolchain.kernels.float_spec import FloatConv, FloatDraw, FloatPack, FloatShuffle, FloatSum
from toolchain.kernels.float_tile import choose_tile
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Picture, Tensor
from toolchain.kernels.spec import Add, Addend, Bounds, DepthToSpace, Slopes, Stage, View
from toolchain.kernels.vectors import Vectors
from toolchain.lower.bindings import channels_of
from toolchain.lower.calls import Extent, Invocation, Source
from toolchain.lower.emitter import Emitter, Imported
from toolchain.lower.float_chain import FloatConcatChain, FloatConvChain, FloatMatcher, FloatShuffleChain, FloatSumChain
from toolchain.lower.packed import Packed
from toolchain.lower.weights import arrange_floats
from toolchain.reference.steps import Activation


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

    def tensor(self, var: Any) -> Tensor:
        """Return the buffer that holds ``var`` alone."""
        return Tensor(self.blocks(var), 0, self.vectors.dtype)

    def parts(self, var: Any) -> tuple[Any, ...]:
        """Return the variables whose channels ``var`` joins."""
        chain = self.chains.get(var)
        return chain.parts if isinstance(chain, FloatConcatChain) else ()

    def kept(self, var: Any, index: int) -> bool:
        """Return True: numbers are what they are."""
        return True

    def convolves(self, var: Any) -> bool:
        """Return whether ``var`` is what a convolution's kernel computes."""
        return isinstance(self.chains.get(var), FloatConvChain)

    def writes(self, var: Any) -> bool:
        """Return whether the kernel of ``var`` can write into the buffer of a concatenation."""
        made = isinstance(self.chains.get(var), FloatConvChain | FloatSumChain | FloatShuffleChain)
        return bool(made or var == self.matcher.parameter)

    def compute(self, var: Any) -> Packed:
        """Emit what computes ``var``."""
        chain, view = self.chains.get(var), self.target(var)
        if var == self.matcher.parameter:
            kernel = float_boundary.read_pixels(view, self.step, self.geometry, self.vectors)
            source = Source(self.pixels, Picture(view.count))
            return self.write(var, Invocation("read_pixels", kernel, (source,), FloatPack(view, self.step)))
        if isinstance(chain, FloatConvChain):
            return self.write(var, self.convolution(chain, view, None))
        if isinstance(chain, FloatSumChain):
            operands, sources = zip(*(self._operand(term, view.count) for term in chain.terms), strict=True)
            operation = FloatSum(operands, _stages(chain.after), view)
            return self.write(var, self._sum("add", operation, sources, *self._slopes(chain.after)))
        if isinstance(chain, FloatShuffleChain):
            return self._shuffle(var, chain)
        kernel = float_boundary.pack(view, self.geometry, self.vectors)
        return self.enter(var, "pack", kernel, self.operators.value(var))

    def convolution(self, chain: FloatConvChain, view: View, pixels: DepthToSpace | None) -> Invocation:
        """Return the kernel of ``chain``, into ``view`` or into ``pixels``."""
        given, source = chain.convolution, self.packed(chain.source)
        groups, weights = arrange_floats(given, source.slots, source.view.count, self.vectors.dtype)
        operand, residual = None, None
        if chain.residual is not None:
            operand, residual = self._operand(chain.residual, given.outputs)
        conv = FloatConv(
            source.view,
            given.outputs,
            groups,
            given.weight.shape[2:],
            given.pads[:2],
            given.dilations,
            view,
            (*_stages(chain.before), *([] if operand is None else [Add(operand)]), *_stages(chain.after)),
            pixels,
            self.gain,
        )
        tile = choose_tile(conv, self.vectors)
        needs = float_algorithms.needs(conv, self.vectors, tile)
        kernel = replace(self.kernel(chain.accumulator, given, conv), needs=needs)
        self.kernels.append(kernel)
        function = float_algorithms.build(conv, self.geometry, self.vectors, tile)
        bias, slopes = given.bias.astype(self.vectors.dtype), self._slopes(chain.before, chain.after)
        arrays = float_algorithms.weights(weights, tile), bias, *slopes
        return Invocation(kernel.name, function, self.sources(source, conv, residual), conv, arrays)

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

    def _sum(self, name: str, operation: FloatSum, sources: tuple[Packed, ...], *slopes: np.ndarray) -> Invocation:
        """Return the kernel of ``operation``."""
        kernel = float_boundary.add(operation, self.geometry, self.vectors)
        return Invocation(name, kernel, tuple(packed.source() for packed in sources), operation, slopes)

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
        return Addend(source.view, divide, modulo), source

    def _slopes(self, *activations: Activation | None) -> tuple[np.ndarray, ...]:
        given = (a.slopes for a in activations if a is not None)
        return tuple(slopes.astype(self.vectors.dtype) for slopes in given if slopes is not None)


def _stages(activation: Activation | None) -> tuple[Stage, ...]:
    if activation is None:
        return ()
    return (Bounds(activation.low, activation.high) if activation.slopes is None else Slopes(),)
