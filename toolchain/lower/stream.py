"""Turn a lowered network into functions that stream rows through its kernels: one where that can be, else segments with
whole tensors between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

from tvm import relax
from tvm.ir import GlobalVar, IRModule

from toolchain.kernels import driver, lines
from toolchain.kernels.bands import Read, Step
from toolchain.kernels.network import Call, Needs, Picture, Stream, Tensor, Whole
from toolchain.lower.calls import Launch, Source, scalars
from toolchain.lower.lowered import Lowered, Spec
from toolchain.lower.rewriting import emitted
from toolchain.lower.segments import cut
from toolchain.targets import CACHE

ENTRY = "stream"
"""Name of the function; those of further segments have numbers."""


def stream(lowered: Lowered[Spec], cache: int = CACHE) -> Lowered[Spec]:
    """``lowered`` with a ``main`` that calls a function for every segment of kernels through which rows stream, see
    `toolchain.kernels.driver.stream` and `toolchain.lower.segments`. ``cache``: bytes of line buffers of a thread.

    What is no kernel on rows stays as it is.
    """
    main, launches = lowered.module["main"], {launch.var: launch for launch in lowered.launches}
    bindings = [binding for block in main.body.blocks for binding in block.bindings]
    roots = _roots(lowered.launches)
    ends = _segments(lowered, bindings, launches, roots)
    inside = {launch.var for segment in ends.values() for launch in segment}
    others = [binding for binding in bindings if binding.var not in inside]
    called = {name.name_hint for binding in others for name in _functions(binding.value)}
    called |= {launch.call.kernel for launch in lowered.launches}
    functions = {name: made for name, made in lowered.module.functions.items() if name.name_hint in called}
    builder = relax.BlockBuilder(IRModule(functions))
    results = [launches[var].result for var in inside]
    for dtype in sorted({result.dtype for result in results if isinstance(result, Tensor)}):
        for name, function in lines.functions(dtype).items():
            builder.add_func(function, name)
    made: list[Stream] = []
    pixels = relax.Var(main.params[0].name, main.params[0].ty)
    known: dict[Any, Any] = {main.params[0]: pixels}
    with builder.function("main", [pixels]):
        with builder.dataflow():
            for binding in bindings:
                if binding.var in ends:
                    own = {launch.var for launch in ends[binding.var]}
                    beside = _tensors((other for other in bindings if other.var not in own), roots)
                    segment = _Segment(lowered, ends[binding.var], roots, beside, cache)
                    segment.emit(builder, known, pixels, f"{ENTRY}_{len(made) + 1}" if made else ENTRY)
                    made.append(segment.plan)
                elif isinstance(binding, relax.VarBinding) and isinstance(binding.value, relax.Var):
                    known[binding.var] = known[binding.value]
                elif binding.var not in inside:
                    known[binding.var] = emitted(builder, binding, known)
            result = builder.emit_output(known[main.body.body])
        builder.emit_func_output(result)
    alone = tuple(launch.call.kernel for launch in lowered.launches if launch.var not in inside)
    return replace(lowered, module=builder.finalize(), segments=tuple(made), alone=alone)


def _roots(launches: Iterable[Launch]) -> dict[Any, Any]:
    """Return, of every variable that a kernel writes, the tensor that it is a state of."""
    roots: dict[Any, Any] = {}
    for launch in launches:
        roots[launch.var] = launch.var if launch.buffer is None else roots[launch.buffer]
    return roots


def _functions(value: Any) -> list[GlobalVar]:
    """Return the functions that an expression calls."""
    arguments = value.args if isinstance(value, relax.Call) else ()
    return [argument for argument in arguments if isinstance(argument, GlobalVar)]


def _tensors(bindings: Iterable[Any], roots: Mapping[Any, Any]) -> set[Any]:
    """Return the tensors that bindings read or write."""
    found = [name for binding in bindings for name in (binding.var, *relax.analysis.free_vars(binding.value))]
    return {roots.get(name, name) for name in found}


def _segments(
    lowered: Lowered[Any], bindings: Sequence[Any], launches: Mapping[Any, Launch], roots: Mapping[Any, Any]
) -> dict[Any, list[Launch]]:
    """Return the segments by the variables that their last kernels write."""
    runs: list[list[Launch]] = [[]]
    for binding in bindings:
        launch = launches.get(binding.var)
        if launch is not None and launch.exact and launch.scale:
            runs[-1].append(launch)
        elif runs[-1]:
            runs.append([])
    work = {kernel.name: kernel.work for kernel in lowered.kernels}
    found: dict[Any, list[Launch]] = {}
    for run in filter(None, runs):
        inside = {launch.var for launch in run}
        others = [binding for binding in bindings if binding.var not in inside]
        shared = {roots.get(binding.var, binding.var) for binding in others}
        for part in cut(run, roots, work, _tensors(others, roots), shared):
            segment = [run[index] for index in part]
            found[segment[-1].var] = segment
    return found


class _Segment:
    """A segment on its way to a function.

    Args:
        lowered: the network.
        launches: the kernels of the segment.
        roots: of every variable the tensor that it is a state of.
        beside: tensors that are read or written elsewhere too.
        cache: bytes of line buffers of a thread.
    """

    def __init__(
        self,
        lowered: Lowered[Any],
        launches: Sequence[Launch],
        roots: Mapping[Any, Any],
        beside: set[Any],
        cache: int,
    ) -> None:
        self.geometry, self.launches, self.roots = lowered.geometry, launches, roots
        self.calls: list[Call] = []
        self.copies: dict[str, Any] = {}
        """Functions that copy what is in line buffers to tensors that are whole, by their symbols."""
        self.tensors: list[Tensor] = []
        self.lines: dict[Any, int] = {}
        """Numbers of the line buffers, by tensor."""
        self.whole: dict[Any, Whole] = {}
        self.states: dict[Any, Any] = {}
        """Of tensors that are whole: their variable before the segment, or that of the first part that is made."""
        for index, launch in enumerate(launches):
            later = {self._root(source.var) for other in launches[index + 1 :] for source in other.sources}
            self._add(launch, beside, later)
        names = {launch.call.kernel for launch in launches}
        sources = {source.what for launch in launches for source in launch.sources if isinstance(source.what, Picture)}
        last = launches[-1].result
        self.plan = Stream(
            tuple(self.calls),
            tuple(self.tensors),
            next(iter(sources), None),
            last if isinstance(last, Picture) else None,
            lowered.geometry,
            cache,
            Needs.all(kernel.needs.at(kernel.scale) for kernel in lowered.kernels if kernel.name in names),
            tuple(self.whole.values()),
        )

    def emit(self, builder: relax.BlockBuilder, known: dict[Any, Any], pixels: Any, name: str) -> None:
        """Emit a call of the function ``name``; ``known``: the new variables by the old ones, to which those of the
        results are added.
        """
        for copy, function in self.copies.items():
            builder.add_func(function.with_attr("global_symbol", copy), copy)
        symbol = builder.add_func(driver.stream(self.plan).with_attr("global_symbol", name), name)
        read, changed, made = (self._tensors(role) for role in ("read", "changed", "made"))
        arguments = [
            *([] if self.plan.source is None else [pixels]),
            *(known[self.states[tensor]] for tensor in read),
            *(relax.const(array, str(array.dtype)) for launch in self.launches for array in launch.constants),
            *scalars(self.geometry, (pixels.ty.shape[0], pixels.ty.shape[1])),
            *(known[self.states[tensor]] for tensor in changed),
        ]
        results = [*changed, *made, *([] if self.plan.result is None else [self.launches[-1].var])]
        kinds = [self.states.get(tensor, tensor).ty for tensor in results]
        kind = kinds[0] if len(kinds) == 1 else kinds
        if changed:
            first = len(arguments) - len(changed)
            places = [*range(first, len(arguments)), *[-1] * (len(kinds) - len(changed))]
            call = relax.op.call_tir_inplace(symbol, relax.Tuple(arguments), places, kind)
        else:
            call = relax.call_tir(symbol, relax.Tuple(arguments), kind)
        var = builder.emit(call)
        found = [var] if len(kinds) == 1 else [builder.emit(relax.TupleGetItem(var, i)) for i in range(len(kinds))]
        values = dict(zip(results, found, strict=True))
        known |= {one.var: values[self._root(one.var)] for one in self.launches if self._root(one.var) in values}

    def _tensors(self, role: str) -> list[Any]:
        """Return the tensors of a role in the order of their numbers."""
        return [tensor for tensor, whole in self.whole.items() if whole.role == role]

    def _root(self, var: Any) -> Any:
        return self.roots.get(var, var)

    def _add(self, launch: Launch, beside: set[Any], later: set[Any]) -> None:
        """Add a kernel, and where other segments want what later kernels read too, a copy of its result."""
        step, rate = launch.call.step, Fraction(launch.scale)
        reads = tuple(self._read(*pair, rate) for pair in zip(step.reads, launch.sources, strict=True))
        if isinstance(launch.result, Picture):
            self.calls.append(replace(launch.call, step=replace(step, reads=reads, writes=None)))
            return
        tensor, view = self._root(launch.var), launch.call.view
        if tensor not in self.lines and (tensor in later or tensor not in beside):
            self.lines[tensor] = self._number(launch.result)
        writes = self.lines[tensor] if tensor in self.lines else self._stored(tensor, launch, rate * step.scale)
        self.calls.append(replace(launch.call, step=replace(step, reads=reads, writes=writes)))
        if tensor in self.lines and tensor in beside:
            assert view is not None  # of what writes no picture
            name, function = lines.copy(view, launch.result.dtype)
            self.copies[name] = function
            stored = self._stored(tensor, launch, rate * step.scale)
            self.calls.append(Call(name, Step((Read(self.lines[tensor]),), stored), (), view))

    def _read(self, read: Read, source: Source, rate: Fraction) -> Read:
        """Return what a kernel of ``rate`` reads, by the segment's numbers."""
        tensor = self._root(source.var)
        if isinstance(source.what, Picture):
            return replace(read, buffer=None)
        if tensor not in self.lines and tensor not in self.whole:
            size = Fraction(0) if source.what.single else rate * source.stride
            self.whole[tensor] = Whole(self._number(source.what), size, "read")
            self.states[tensor] = source.var
        return replace(read, buffer=self.lines[tensor] if tensor in self.lines else self.whole[tensor].number)

    def _stored(self, tensor: Any, launch: Launch, rate: Fraction) -> int:
        """Return the number of a tensor that is whole, of which ``launch`` writes all or a part."""
        assert isinstance(launch.result, Tensor)
        known = self.whole.get(tensor)
        if known is None:
            role: Literal["changed", "made"] = "made" if launch.buffer is None else "changed"
            self.whole[tensor] = Whole(self._number(launch.result), rate, role)
            self.states[tensor] = launch.var if launch.buffer is None else launch.buffer
        elif known.role == "read":
            self.whole[tensor] = replace(known, role="changed")
        return self.whole[tensor].number

    def _number(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1
