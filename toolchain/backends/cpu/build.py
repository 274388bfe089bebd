"""From a quantized model to a compiled library: lower, schedule, compile, link."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import tvm
from tvm import relax, tirx
from tvm.relax import transform
from tvm.s_tir import Schedule

from toolchain.kernels import algorithms
from toolchain.kernels.driver import Needs, Stream
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.spec import Conv
from toolchain.kernels.tile import Tile
from toolchain.lower import Choose, Coverage, Kernel, Lowered, lower_model
from toolchain.lower.memory import storages
from toolchain.schedules.coverage import coverage
from toolchain.schedules.select import Choice, Tuning
from toolchain.targets.llvm import tvm_target

if TYPE_CHECKING:
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
        stream: how pictures stream through it in bands of rows; None: it runs layer by layer.
        scratch: bytes that kernels take for themselves, on all threads, where the network runs layer by layer.
        figures: of launches on a device, of which there are none.
    """

    executable: Any
    coverage: Coverage
    kernels: tuple[Kernel[Any], ...]
    choices: Mapping[str, object]
    tuned: TunedCoverage
    planned: Any
    stream: Stream | None
    scratch: int = 0
    figures: tuple[()] = ()

    def workspace(self, height: int, width: int) -> int:
        """Bytes of memory a call allocates for an input of ``height`` x ``width`` pixels, its result included; the line
        buffers of threads come on top.
        """
        return self.scratch + sum(storage.size for storage in storages(self.planned, height, width))

    def line_buffers(self, width: int) -> int:
        """Bytes that every thread needs for its line buffers; 0 where the network runs layer by layer."""
        return self.stream.workspace(width) if self.stream else 0

    def export(self, path: Path, linker: Linker | None) -> None:
        """Link the library into ``path``.

        Raises:
            TargetError: the linker fails.
        """
        self.executable.export_library(str(path), fcompile=linker)


def compile_model(
    model: QuantizedModel,
    target: Target,
    tuning: Tuning | None = None,
    lower: Callable[[onnx.ModelProto, Dot, Choose], Lowered[Conv]] | None = None,
) -> Compiled:
    """Compile a quantized model for ``target``, with the tiles that ``tuning`` knows, else with default ones.

    ``lower`` is `lower_layers` for a network whose kernels can be timed one by one.

    Raises:
        ModelError: the model has a structure that cannot be lowered.
        TargetError: there are no kernels for the target's instruction set.
    """
    dot = dot_product(target.instruction_set)
    tuning = tuning or Tuning()
    choices: dict[str, Choice] = {}

    def choose(kernel: Kernel[Conv], columns: int) -> Tile:
        choices[kernel.name] = tuning.choose(kernel, columns, dot)
        return choices[kernel.name].tile

    lowered = lower(model.model, dot, choose) if lower else lower_model(model.model, dot, choose, target.cache)
    scheduled = schedule(lowered, {name: choice.tile for name, choice in choices.items()}, dot)
    return finished(lowered, scheduled, target, choices, coverage(lowered.kernels, tuple(choices.values())))


def finished(
    lowered: Lowered[Any], scheduled: Any, target: Target, choices: Mapping[str, object], tuned: TunedCoverage
) -> Compiled:
    """Compile a lowered network whose kernels are scheduled."""
    planned = plan(scheduled)
    executable = relax.build(planned, target=tvm_target(target), relax_pipeline=finish())
    needs = Needs.all(kernel.needs for kernel in lowered.kernels)
    return Compiled(
        executable,
        lowered.coverage,
        lowered.kernels,
        choices,
        tuned,
        planned,
        lowered.stream,
        0 if lowered.stream else needs.workspace * target.cores,
    )


def schedule(lowered: Lowered[Conv], tiles: Mapping[str, Tile], dot: Dot) -> Any:
    """The module with every convolution kernel scheduled by its tile."""
    module = lowered.module
    for kernel in lowered.kernels:
        symbol = module.get_global_var(kernel.name)
        sch = Schedule(tvm.IRModule({"main": module[symbol]}))
        algorithms.schedule(sch, kernel.conv, tiles[kernel.name], dot)
        module.update_func(symbol, sch.mod["main"])
    return module


def plan(module: Any) -> Any:
    """Float operators become loops, calls become calls with outputs, tensors get their storage."""
    # TVM's default pipeline is not taken: it looks for reshapes and fuses where our kernels are to stay as they are.
    return tvm.transform.Sequential(
        [
            transform.LegalizeOps(),
            transform.ToNonDataflow(),
            transform.RemovePurityChecking(),
            transform.CallTIRRewrite(),
            transform.StaticPlanBlockMemory(),
        ]
    )(module)


def finish() -> Any:
    """The rest of the way from a planned module to the virtual machine's instructions."""
    return tvm.transform.Sequential(
        [
            transform.LowerAllocTensor(),
            transform.KillAfterLastUse(),
            transform.LowerRuntimeBuiltin(),
            transform.ComputePrimValue(),
            transform.VMShapeLower(),
            transform.AttachGlobalSymbol(),
            order_shapes,
            promise_no_alias,
        ]
    )


def _order_shapes(module: Any, _context: Any) -> Any:
    """Sort the statements that compute sizes, ``H[slot] = ...``, by their slots.

    TVM writes them in the order of a hash table of addresses, another one in every process; they do not depend on each
    other. Without this, equal deployments would differ in their libraries, and only there.
    """
    for symbol, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc) and isinstance(function.body, tirx.SeqStmt):
            stores = list(function.body.seq)
            if all(isinstance(store, tirx.BufferStore) and len(store.indices) == 1 for store in stores):
                ordered = sorted(stores, key=lambda store: int(store.indices[0]))
                module.update_func(symbol, function.with_body(tirx.SeqStmt(ordered)))
    return module


order_shapes = tvm.transform.module_pass(_order_shapes, opt_level=0, name="OrderShapes")


def _promise_no_alias(module: Any, _context: Any) -> Any:
    """Mark the functions that compute shapes as free of aliasing, which they are.

    TVM's LLVM backend drops what it knows of aliasing for the whole module as soon as one function lacks the mark:
    accumulators then go through memory, and every kernel is four times slower.
    """
    for symbol, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc):
            module.update_func(symbol, function.with_attr("tirx.noalias", True))
    return module


promise_no_alias = tvm.transform.module_pass(_promise_no_alias, opt_level=0, name="PromiseNoAlias")
