"""Write the lowered ``main`` on demand: what integer and float networks share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar

from tvm import relax

from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Picture, Tensor
from toolchain.kernels.spec import DepthToSpace, View
from toolchain.lower.bindings import Bindings, channels_of
from toolchain.lower.calls import Calls, Extent, Invocation, Source
from toolchain.lower.depth_to_space import pattern
from toolchain.lower.lowered import Kernel, Spec
from toolchain.lower.operators import Operators
from toolchain.lower.packed import Packed
from toolchain.reference.convolution import Convolution
from toolchain.support.errors import ModelError

Matcher = TypeVar("Matcher", bound=Bindings)


@dataclass(frozen=True)
class Destination:
    """Where a kernel must write: from block ``start`` of the buffer of the concatenation ``concat``."""

    concat: Any
    start: int


@dataclass(frozen=True, eq=False)
class Imported(Generic[Matcher]):
    """What is lowered: a module's functions, a matcher of its ``main``, the chains of its variables."""

    functions: Any
    matcher: Matcher
    chains: Mapping[Any, Any]


class Emitter(ABC, Generic[Matcher, Spec]):
    """Emits the bindings of the new ``main`` on demand, from the result backwards.

    Args:
        imported: what is lowered.
        builder: inside the new function's dataflow block.
        pixels: the new parameter, uint8 (height, width, channels).
        geometry: of the packed tensors.
    """

    packing: ClassVar[int]
    """Channels of a block of a packed tensor."""

    def __init__(
        self, imported: Imported[Matcher], builder: relax.BlockBuilder, pixels: Any, geometry: Geometry
    ) -> None:
        self.matcher, self.chains = imported.matcher, imported.chains
        self.pixels, self.geometry = pixels, geometry
        self.calls = Calls(builder, pixels, geometry, imported.matcher)
        self.operators = Operators(imported.matcher, imported.functions, self.calls, self.known)
        self.kernels: list[Kernel[Spec]] = []
        self.covered: set[Any] = set()
        self._done: dict[Any, Packed] = {}
        self._buffers: dict[Any, Any] = {}
        self._ordered: dict[Any, Packed] = {}

    def draw(self, var: Any, pixels: DepthToSpace) -> Any:
        """Emit what ends the network: the picture made of ``var`` (1, C, h, w). Returns the picture's variable."""
        if self.convolves(var):
            given = self.convolution(self.chains[var], self.tensor(var).view, pixels)
        else:
            source = self.packed(var)
            given = self.store(source, source.table(pixels))
        return self.calls.launch(given, None, Picture(pixels.channels, pixels.scale), self.extent(var))

    def packed(self, var: Any) -> Packed:
        """Return the packed form of ``var``, computing it if that has not been done yet."""
        if var not in self._done:
            parts = self.parts(var)
            self._done[var] = self._concat(var, parts) if parts else self.compute(var)
        return self._done[var]

    # -- what arithmetic supplies --------------------------------------------------------------------------------

    @abstractmethod
    def tensor(self, var: Any) -> Tensor:
        """Return the buffer that holds ``var`` alone."""

    @abstractmethod
    def parts(self, var: Any) -> tuple[Any, ...]:
        """Return the variables whose channels ``var`` joins, if kernels join them; else nothing."""

    @abstractmethod
    def kept(self, var: Any, index: int) -> bool:
        """Return whether part ``index`` of the concatenation ``var`` is in it what it is by itself."""

    @abstractmethod
    def convolves(self, var: Any) -> bool:
        """Return whether ``var`` is all that a convolution's kernel computes."""

    @abstractmethod
    def writes(self, var: Any) -> bool:
        """Return whether the kernel of ``var`` can write into the buffer of a concatenation."""

    @abstractmethod
    def compute(self, var: Any) -> Packed:
        """Emit what computes ``var``, which is no concatenation."""

    @abstractmethod
    def convolution(self, chain: Any, view: View, pixels: DepthToSpace | None) -> Invocation:
        """Return the kernel of the convolution ``chain``, into ``view`` or into ``pixels``; what it reads is
        emitted.
        """

    @abstractmethod
    def copy(self, var: Any, index: int, view: View) -> Invocation:
        """Return what writes part ``index`` of the concatenation ``var`` into ``view``."""

    @abstractmethod
    def store(self, source: Packed, pixels: DepthToSpace) -> Invocation:
        """Return what makes the picture of ``source``."""

    @abstractmethod
    def reorder(self, source: Packed, extent: Extent) -> Packed:
        """Emit a copy with channel c in slot c."""

    @abstractmethod
    def known(self, value: Any) -> Any | None:
        """Return the plain float32 tensor ``value`` (1, C, h, w) where kernels compute it, which is emitted."""

    # -- operands and results ------------------------------------------------------------------------------------

    def operand(self, var: Any, channels: int) -> tuple[Packed, int, int]:
        """Return what holds ``var`` as it is added to ``channels`` channels, and its divide and modulo, see `Operand`.

        Raises:
            ModelError: ``var`` has neither as many channels nor one.
        """
        source = self.packed(var)
        if pattern(source.slots, self.packing) is None:
            source = self.in_order(var)
        slots = source.slots * (channels if len(source.slots) == 1 else 1)
        rule = pattern(slots, self.packing)
        if rule is None or len(slots) != channels:
            raise ModelError(
                f"a tensor of {len(source.slots)} channels is added to one of {channels}",
                hint="only a single channel can be added to all",
            )
        return source, *rule

    def in_order(self, var: Any) -> Packed:
        """``var`` with channel c in slot c."""
        if var not in self._ordered:
            self._ordered[var] = self.reorder(self.packed(var), self.extent(var))
        return self._ordered[var]

    def target(self, var: Any) -> View:
        """Return the blocks that ``var`` is written to: a buffer of its own or its part of a concatenation."""
        place = self._places.get(var)
        return self.tensor(var).view if place is None else self.part(place.concat, place.start, var)

    def write(self, var: Any, given: Invocation, extent: Extent | None = None) -> Packed:
        """Emit a kernel that computes ``var`` into its `target`; ``extent``: of what it reads, if ``var`` is larger."""
        view, place, extent = self.target(var), self._places.get(var), extent or self.extent(var)
        if place is None:
            tensor = self.tensor(var)
            written = self.calls.launch(given, view, tensor, extent)
        else:
            tensor, written = self.tensor(place.concat), self._write_part(place.concat, given, view, extent)
        return Packed(written, view, tuple(range(channels_of(var))), tensor)

    def enter(self, var: Any, name: str, function: Any, value: Any) -> Packed:
        """Emit ``function``, which packs the plain tensor ``value`` as ``var``."""
        tensor, extent = self.tensor(var), self.extent(var)
        written = self.calls.call(name, function, [value], self.calls.packed(tensor, extent), extent)
        return Packed(written, tensor.view, tuple(range(channels_of(var))), tensor)

    def leave(self, source: Packed, function: Any, channels: int, extent: Extent) -> Any:
        """Emit ``function``, which makes a plain float32 tensor of ``source``."""
        kind = relax.TensorType((1, channels, *extent), "float32")
        return self.calls.call("unpack", function, [source.var], kind, extent)

    def sources(self, source: Packed, conv: Spec, others: Sequence[Packed]) -> tuple[Source, ...]:
        """Return what a convolution reads: rows above and below a row of its source too, and what its stages read."""
        above = conv.above[0]
        return source.source(above, conv.reach[0] - above), *(other.source() for other in others)

    def kernel(self, var: Any, given: Convolution, conv: Spec) -> Kernel[Spec]:
        """Return the next convolution's, which covers the convolution ``given`` whose variable is ``var``."""
        channels, inputs, kh, kw = given.weight.shape
        self.covered.add(var)
        name = f"conv{len(self.kernels)}_{kh}x{kw}_{inputs * given.group}to{channels}"
        return Kernel(name, conv, given.weight.size, self.calls.enlarged(self.extent(var)))

    def blocks(self, var: Any) -> int:
        """Return blocks that ``var`` takes: every part of a concatenation begins with one."""
        return sum(self._blocks(part) for part in self.parts(var) or (var,))

    def extent(self, var: Any) -> Extent:
        """Return the height and width of a variable (1, C, h, w) of the imported module."""
        if var.ty.shape is None:
            raise ModelError(
                "the compiler cannot tell the size of a tensor within the network",
                hint="sizes must be whole multiples of the picture's",
            )
        return var.ty.shape[2], var.ty.shape[3]

    # -- concatenations ------------------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> dict[Any, Destination]:
        """Let the producers of a concatenation's parts write into its buffer, where they can."""
        places: dict[Any, Destination] = {}
        for var in self.chains:
            parts, start = self.parts(var), 0
            for index, part in enumerate(parts if len(set(parts)) > 1 else ()):
                if part not in places and self.kept(var, index) and self.writes(part):
                    places[part] = Destination(var, start)
                start += self._blocks(part)
        return places

    def _concat(self, var: Any, parts: tuple[Any, ...]) -> Packed:
        if len(set(parts)) == 1 and self.kept(var, 0):
            source = self.packed(parts[0])
            return replace(source, slots=source.slots * len(parts))
        slots: list[int] = []
        start = 0
        for index, part in enumerate(parts):
            if self._places.get(part) == Destination(var, start):
                self.packed(part)
            else:
                view = self.part(var, start, part)
                self._write_part(var, self.copy(var, index, view), view, self.extent(var))
            slots += range(start * self.packing, start * self.packing + channels_of(part))
            start += self._blocks(part)
        return Packed(self._buffers[var], self.whole(var), tuple(slots), self.tensor(var))

    def whole(self, var: Any) -> View:
        """Return the blocks of the concatenation ``var``."""
        return self.tensor(var).view

    def part(self, concat: Any, start: int, part: Any) -> View:
        """Return the blocks of ``part`` in the buffer of a concatenation, from block ``start`` on."""
        return replace(self.tensor(concat).view, start=start, count=self._blocks(part))

    def _blocks(self, var: Any) -> int:
        return -(-channels_of(var) // self.packing)

    def _write_part(self, concat: Any, given: Invocation, view: View, extent: Extent) -> Any:
        """Write a part of a concatenation's buffer: the first part allocates it, the others write in place. ``extent``:
        of what is read.
        """
        buffer = self._buffers.get(concat)
        self._buffers[concat] = self.calls.launch(given, view, self.tensor(concat), extent, buffer)
        return self._buffers[concat]
