"""From a quantized model to a compiled library: lower, schedule, compile, link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tvm
from tvm import relax

from toolchain.backends.cpu.interface import About, archive, link
from toolchain.backends.cpu.passes.schedule_kernels import schedule_kernels
from toolchain.backends.cpu.pipeline import FINISH, PLAN
from toolchain.backends.script import SUFFIX, script
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.network import Lines, Needs, Stream
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.lower import Coverage, Kernel, Lowered, geometry_for, import_qdq, lower
from toolchain.lower.frame import framed, take_frame
from toolchain.lower.memory import storages
from toolchain.lower.stream import stream
from toolchain.schedules.coverage import coverage
from toolchain.schedules.select import TileChoice, Tuning
from toolchain.support.dump import Dump, no_dump
from toolchain.targets.llvm import tvm_target

if TYPE_CHECKING:
    from toolchain.images.geometry import Geometry
    from toolchain.quantize import QuantizedModel
    from toolchain.schedules.coverage import TunedCoverage
    from toolchain.targets import Target
    from toolchain.targets.linker import Linker


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled network.

    Attributes:
        executable: TVM's, with the entry ``main(u8[h, w, c]) -> u8[h*scale, w*scale, c]``.
        coverage: how much of it is integer.
        kernels: its convolution kernels, in order of execution.
        choices: the tile of each kernel and where it comes from, by name; printable.
        tuned: how much of it runs in kernels that were tuned.
        planned: the Relax module after memory planning: what is allocated, and as what.
        segments: how rows stream through it in bands; none: it runs layer by layer.
        stream: the only segment, where there is nothing else.
        scratch: bytes that kernels which run alone take for themselves, on all threads.
        further: pixels beyond its receptive field that tiles of a picture must carry, for all bits to be the whole's.
        target: that it is compiled for.
        called: global symbols of the functions that the virtual machine calls.
        figures: of launches on a device, of which there are none.
    """

    executable: Any
    coverage: Coverage
    kernels: tuple[Kernel[Any], ...]
    choices: Mapping[str, object]
    tuned: TunedCoverage
    planned: Any
    segments: tuple[Stream, ...]
    stream: Stream | None
    target: Target
    called: tuple[str, ...]
    scratch: int = 0
    further: int = 0
    figures: tuple[()] = ()

    def workspace(self, height: int, width: int) -> int:
        """Return bytes of memory a call allocates for an input of ``height`` x ``width`` pixels, its result included;
        the line buffers of threads come on top.
        """
        return self.scratch + sum(storage.size for storage in storages(self.planned, height, width))

    def line_buffers(self, width: int) -> int:
        """Return bytes that every thread needs for its line buffers; 0 where the network runs layer by layer."""
        return max((segment.workspace(width) for segment in self.segments), default=0)

    def export(self, path: Path, linker: Linker | None, name: str, geometry: Geometry) -> tuple[str, ...]:
        """Link the library into ``path``, with the interface for C where the linker compiles it, see
        `toolchain.backends.base.Compiled.export`.
        """
        if linker is None or not linker.compiles:
            self.executable.export_library(str(path), fcompile=linker)
            return ()
        missing = link(self.executable, path, linker, self._about(name, geometry))
        if not missing:
            return ()
        return (f"programs in C cannot run {path.name}: it needs {', '.join(missing)}, which only TVM's runtime has",)

    def archive(self, path: Path, linker: Linker | None, name: str, geometry: Geometry) -> None:
        """Write the library with its interface as a static one, see `toolchain.backends.base.Compiled.archive`."""
        assert linker is not None
        archive(self.executable, path, linker, self._about(name, geometry))

    def _about(self, name: str, geometry: Geometry) -> About:
        return About(name, self.target, geometry, self.called, self.stream is not None, self._lines())

    def _lines(self) -> Lines:
        alone = Lines(scratch=-(-self.scratch // self.target.cores))
        return Lines.most_of([alone, *(segment.lines() for segment in self.segments)])


def compile_model(
    model: QuantizedModel, target: Target, tuning: Tuning | None = None, *, layers: bool = False, dump: Dump = no_dump
) -> Compiled:
    """Compile a quantized model for ``target``.

    Args:
        model: canonical QDQ.
        target: to compile for.
        tuning: tiles that are known; other kernels take default ones.
        layers: run one kernel after the other on whole tensors, so that each can be timed.
        dump: where the module is written as it is after each phase.

    Raises:
        ModelError: the model has a structure that cannot be lowered.
        TargetError: there are no kernels for the target's instruction set.
    """
    dot = dot_product(target.instruction_set)
    tuning = tuning or Tuning()
    choices: dict[str, TileChoice] = {}

    def choose(kernel: Kernel[Conv], columns: int) -> Tile:
        choices[kernel.name] = tuning.choose(kernel, columns, dot)
        return choices[kernel.name].tile

    inner, frame = take_frame(model.model)
    module = import_qdq(inner)
    dump("import", SUFFIX, lambda: script(module))
    lowered = lower(module, geometry_for(module, dot), dot, choose)
    dump("lower", SUFFIX, lambda: script(lowered.module))
    streamed = framed(lowered if layers else stream(lowered, target.cache), frame)
    dump("stream", SUFFIX, lambda: script(streamed.module))
    tiles = {name: choice.tile for name, choice in choices.items()}
    scheduled = schedule_kernels(streamed.kernels, tiles, dot)(streamed.module)
    dump("schedule", SUFFIX, lambda: script(scheduled))
    tuned = coverage(streamed.kernels, tuple(choices.values()))
    return finished(streamed, scheduled, target, choices, tuned, dump)


def finished(
    lowered: Lowered[Any],
    scheduled: Any,
    target: Target,
    choices: Mapping[str, object],
    tuned: TunedCoverage,
    dump: Dump = no_dump,
) -> Compiled:
    """Compile a lowered network whose kernels are scheduled."""
    planned = PLAN(scheduled)
    dump("plan", SUFFIX, lambda: script(planned))

    called: set[str] = set()

    def finish(module: Any) -> Any:
        module = FINISH(module)
        dump("finish", SUFFIX, lambda: script(module))
        called.update(_called(module))
        return module

    # Kernels check no arguments: they are called by drivers and programs that were made for them.
    with tvm.transform.PassContext(config={"tirx.disable_assert": True}):
        executable = relax.build(planned, target=tvm_target(target), relax_pipeline=finish)
    needs = Needs.all(kernel.needs for kernel in lowered.kernels)
    streamed = {call.kernel for segment in lowered.segments for call in segment.calls}
    alone = Needs.all(kernel.needs for kernel in lowered.kernels if kernel.name not in streamed)
    return Compiled(
        executable,
        lowered.coverage,
        lowered.kernels,
        choices,
        tuned,
        planned,
        lowered.segments,
        lowered.stream,
        target,
        tuple(sorted(called)),
        alone.workspace * target.cores,
        needs.further,
    )


def _called(module: Any) -> Iterator[str]:
    """Yield the symbols of compiled functions that Relax functions call."""
    found: list[Any] = []

    def look(expression: Any) -> None:
        if isinstance(expression, relax.Call):
            found.append(expression.op)

    for function in module.functions.values():
        if isinstance(function, relax.Function):
            relax.analysis.post_order_visit(function, look)
    for operation in found:
        if isinstance(operation, tvm.ir.GlobalVar):
            yield str(module[operation].attrs["global_symbol"])
