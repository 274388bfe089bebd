"""Find what float kernels cover in a Relax module that was imported from a normalized float model.

A chain is what one kernel computes. Chains are plain values; nothing of the module is changed here. What matches no
chain is left to the compiler.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tvm import tirx
from tvm.ir import GenericConst

from toolchain.kernels.spec import DepthToSpace
from toolchain.lower.bindings import Bindings, is_picture
from toolchain.lower.depth_to_space import pixel_table, trace
from toolchain.lower.down import Steps
from toolchain.lower.float_down import FloatPoolChain, SizedChain, fits, keeps, match_sized
from toolchain.lower.float_layers import LayerChain, match_layer
from toolchain.lower.float_region import Region, Regions
from toolchain.reference.convolution import Convolution


@dataclass(frozen=True, eq=False)
class FloatConvChain:
    """Convolution with bias, and what is made of it place by place.

    Attributes:
        accumulator: the Relax variable bound to the convolution itself.
        source: the variable of its input.
        convolution: what it is, with float32 weights and biases.
        region: what follows, of which its result is the first leaf; None: nothing.
    """

    accumulator: Any
    source: Any
    convolution: Convolution
    region: Region | None = None

    @property
    def steps(self) -> Steps:
        """Its windows."""
        given = self.convolution
        return Steps(given.weight.shape[2:], given.strides, given.pads, given.dilations)


@dataclass(frozen=True, eq=False)
class FloatRegionChain:
    """Sums, products and functions of some variables, of which the first is as large as the result."""

    region: Region


@dataclass(frozen=True, eq=False)
class FloatConcatChain:
    """Concatenation of variables along the channels."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class FloatShuffleChain:
    """Depth-to-space, in whatever spelling, of a variable."""

    source: Any
    pixels: DepthToSpace


@dataclass(frozen=True, eq=False)
class FloatSelectChain:
    """Some channels of a variable."""

    source: Any
    channels: tuple[int, ...]


FloatChain: TypeAlias = (
    SizedChain
    | LayerChain
    | FloatSelectChain
    | FloatConvChain
    | FloatRegionChain
    | FloatConcatChain
    | FloatShuffleChain
)


class FloatMatcher(Bindings):
    """Looks chains up in one Relax function, see `Bindings`."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self.regions = Regions(self)

    def chain(self, var: Any) -> FloatChain | None:
        """Return the chain that ends in ``var``; None if float kernels do not cover it."""
        if var not in self.definitions or not is_picture(var) or not isinstance(var.ty.shape[1], int | tirx.IntImm):
            return None  # channels that are not the second dimension are a picture's rows
        return next((chain for chain in self._candidates(var) if chain is not None), None)

    def _candidates(self, var: Any) -> Iterator[FloatChain | None]:
        """Yield what ``var`` may be computed by, the most at once first."""
        yield self._conv(var)
        for region in self.regions.ending_in(var):
            yield self._region(var, region)
        if self.joins_channels(var):
            yield FloatConcatChain(tuple(self.definitions[var].args[0].fields))
        if self.is_call(var, "relax.take"):
            yield self._selection(self.definitions[var])
        yield self._shuffle(var)
        yield match_sized(self, var)
        yield match_layer(self, var)

    def _region(self, var: Any, region: Region) -> FloatConvChain | FloatRegionChain:
        """Return a region, with the last convolution that ends in one of its leaves."""
        alike = [leaf for leaf in region.leaves if self.regions.size(leaf) == self.regions.size(var)]
        for leaf in sorted(alike, key=self.regions.place, reverse=True):
            found = self._conv(leaf) if self.regions.only_in(region, leaf) else None
            if found is not None and (len(region.leaves) == 1 or self.keeps(found)):
                return replace(found, region=region.first(leaf))
        return FloatRegionChain(region.first(alike[0]))

    def keeps(self, chain: FloatConvChain | FloatPoolChain) -> bool:
        """Return whether all that a kernel computes which steps through the source is the result."""
        return keeps(self, chain.source, chain.steps)

    def _selection(self, call: Any) -> FloatSelectChain | None:
        """Return the channels by constant numbers that ``call`` takes."""
        source, indices = call.args
        along = call.attrs.axis is not None and int(call.attrs.axis) == 1
        if not along or not isinstance(indices, GenericConst) or indices.value.numpy().ndim != 1:
            return None
        return FloatSelectChain(source, tuple(int(i) for i in indices.value.numpy())) if is_picture(source) else None

    def _shuffle(self, var: Any) -> FloatShuffleChain | None:
        """Return the depth-to-space that ``var`` is."""
        source, moves = trace(self.definitions, var)
        if not moves or not is_picture(source):
            return None
        pixels = pixel_table(moves, source.ty.shape, self.height, self.width)
        return None if pixels is None else FloatShuffleChain(source, pixels)

    def _conv(self, value: Any) -> FloatConvChain | None:
        """Return the convolution with bias that ``value`` is; None unless a float kernel covers it."""
        found = self.convolution(value)
        if found is None or not all(isinstance(constant, GenericConst) for constant in found[1:]):
            return None
        conv, weight, bias = found
        convolution = self.convolution_of(conv, weight.value.numpy(), bias.value.numpy().reshape(-1))
        source = self.definitions[conv].args[0]
        chain = FloatConvChain(conv, source, convolution)
        return chain if fits(self, source, chain.steps) else None
