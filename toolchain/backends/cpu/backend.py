"""The backend for CPUs. TVM is imported when it is needed: many commands end before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.bundle import library_file
from toolchain.runtime.native import NativeRunner, open_native
from toolchain.support.cpu import this_cpu
from toolchain.support.dump import Dump, no_dump
from toolchain.support.errors import TargetError
from toolchain.targets import Target, architecture, system
from toolchain.targets.linker import Linker, find_c_compiler, find_linker, is_native

if TYPE_CHECKING:
    import onnx

    from toolchain.backends.base import Compiled, Runner
    from toolchain.frontend import SRModel
    from toolchain.images.geometry import Geometry
    from toolchain.lower import Rehearsal
    from toolchain.quantize import QuantizedModel
    from toolchain.runtime.measure import KernelTimes
    from toolchain.schedules.select import Tuning


class CpuBackend:
    """Shared libraries that run by themselves, and in TVM's virtual machine."""

    def file(self, target: Target) -> str:
        """Return the name of the library."""
        return library_file(target)

    def check(self, target: Target) -> None:
        """See that there are kernels for the target's instruction set, and that its CPU has those instructions.

        Raises:
            TargetError: there are none, or it has not.
        """
        from toolchain.kernels.intrinsics import check_instruction_set

        check_instruction_set(target)

    def linker(self, target: Target) -> tuple[Linker, tuple[str, ...]]:
        """Find what links for ``target``, and compiles the interface for C if there is such a thing.

        Raises:
            TargetError: there is no linker.
        """
        try:
            return find_c_compiler(target.triple), ()
        except TargetError as error:
            lacking = f"programs in C cannot run {library_file(target)}: {error.message}; {error.hint}"
            return find_linker(target.triple), (lacking,)

    def obstacle(self, target: Target) -> str | None:
        """Say why this machine cannot run what is made for ``target``, and what does; None if it can."""
        if system(target.triple) != "Linux" and not is_native(target.triple):
            return f"made for {system(target.triple)}, not run here"
        if not is_native(target.triple):
            return (
                f"made for {architecture(target.triple)}, not run here; `clipfree verify --rpc` checks it on the board"
            )
        missing = target.missing_on(this_cpu())
        return f"this CPU lacks {', '.join(missing)}; `clipfree verify` does it where it runs" if missing else None

    def rehearse(self, model: onnx.ModelProto, target: Target) -> Rehearsal:
        """Lower an integer network, see `toolchain.backends.base.Backend.rehearse`."""
        from toolchain.kernels.intrinsics import dot_product
        from toolchain.lower import lower_model

        return lower_model(model, dot_product(target.instruction_set), cache=target.cache).rehearsal

    def rehearse_floats(self, model: SRModel, target: Target, precision: str) -> Rehearsal:
        """Lower a float network, see `toolchain.backends.base.Backend.rehearse_floats`."""
        from toolchain.kernels.vectors import vectors_for
        from toolchain.lower.float_lowering import lower_float_model

        return lower_float_model(model, vectors_for(target, precision), target.cache).rehearsal

    def compile(
        self, model: QuantizedModel, target: Target, tuning: Tuning, *, layers: bool = False, dump: Dump = no_dump
    ) -> Compiled:
        """Compile an integer network, see `toolchain.backends.cpu.build.compile_model`."""
        from toolchain.backends.cpu.build import compile_model

        return compile_model(model, target, tuning, layers=layers, dump=dump)

    def compile_floats(self, model: SRModel, target: Target, precision: str, *, dump: Dump = no_dump) -> Compiled:
        """Compile a float network, see `toolchain.backends.cpu.float_build.compile_float_model`."""
        from toolchain.backends.cpu.float_build import compile_float_model

        return compile_float_model(model, target, precision, dump=dump)

    def open(self, library: Path, geometry: Geometry, threads: int | None = None) -> Runner:
        """Load a library, which executes its code: for its C interface, or where it has none, by TVM.

        Raises:
            BundleError: it cannot be loaded.
        """
        return open_native(library, geometry, threads) or self._open_in_tvm(library, geometry, threads)

    def open_each_way(self, library: Path, geometry: Geometry, threads: int | None = None) -> tuple[Runner, ...]:
        """Load a library as `open` does, and by TVM, as boards do.

        Raises:
            BundleError: it cannot be loaded.
        """
        first = self.open(library, geometry, threads)
        others = [self._open_in_tvm(library, geometry, threads)] if isinstance(first, NativeRunner) else []
        return (first, *others)

    def kernel_times(
        self, library: Path, compiled: Compiled, geometry: Geometry, size: tuple[int, int]
    ) -> KernelTimes | None:
        """Time the kernels of a library, see `toolchain.backends.cpu.kernel_times`.

        Raises:
            BundleError: the library cannot be loaded, or fails.
        """
        from toolchain.backends.cpu.kernel_times import time_kernels

        return time_kernels(library, compiled.segments, geometry, size)

    def _open_in_tvm(self, library: Path, geometry: Geometry, threads: int | None) -> Runner:
        from toolchain.runtime.runner import Runner as InTvm

        return InTvm(library, geometry, threads)
