"""The backend for OpenCL devices. TVM is imported when it is needed: many commands end before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.bundle import LIBRARY, PLAN
from toolchain.support.dump import Dump, no_dump
from toolchain.support.errors import TargetError
from toolchain.targets import Target
from toolchain.targets.linker import Linker, find_c_compiler

if TYPE_CHECKING:
    import onnx

    from toolchain.backends.base import Compiled, Runner
    from toolchain.frontend import SRModel
    from toolchain.images.geometry import Geometry
    from toolchain.lower import Rehearsal
    from toolchain.quantize import QuantizedModel
    from toolchain.runtime.measure import KernelTimes
    from toolchain.schedules.select import Tuning

DEVICE = "opencl-cpu"
"""Where what is made is checked on this machine."""


class OpenClBackend:
    """Kernels in OpenCL C with a launch plan, and a host part in C."""

    def file(self, target: Target) -> str:
        """Return the name of the launch plan."""
        return PLAN

    def check(self, target: Target) -> None:
        """Check nothing: kernels in OpenCL C need nothing but OpenCL."""

    def linker(self, target: Target) -> tuple[Linker | None, tuple[str, ...]]:
        """Find a C compiler for the host part; kernels are of use without one."""
        try:
            return find_c_compiler(target.triple), ()
        except TargetError as error:
            return None, (f"made without {LIBRARY}, which boards and apps use: {error.message}; {error.hint}",)

    def obstacle(self, target: Target) -> str | None:
        """Say why this machine cannot run what is made for ``target``, and what does; None if it can."""
        from toolchain.runtime.opencl.device import find_device

        try:
            find_device(DEVICE)
        except TargetError as error:
            return f"{error.message}; {error.hint}"
        return None

    def rehearse(self, model: onnx.ModelProto, target: Target) -> Rehearsal:
        """Lower an integer network, see `toolchain.backends.base.Backend.rehearse`."""
        from toolchain.backends.opencl.launches import network_of
        from toolchain.kernels.intrinsics import dot_product
        from toolchain.lower import Rehearsal, lower_whole

        lowered = lower_whole(model, dot_product("opencl"))
        network_of(lowered)
        return Rehearsal(lowered.coverage)

    def rehearse_floats(self, model: SRModel, target: Target, precision: str) -> Rehearsal:
        """Lower a float network, see `toolchain.backends.base.Backend.rehearse_floats`."""
        from toolchain.backends.opencl.launches import network_of
        from toolchain.kernels.vectors import vectors_for
        from toolchain.lower import Rehearsal
        from toolchain.lower.float_lowering import lower_float_whole

        lowered = lower_float_whole(model, vectors_for(target, precision))
        network_of(lowered)
        return Rehearsal(lowered.coverage)

    def compile(
        self, model: QuantizedModel, target: Target, tuning: Tuning, *, layers: bool = False, dump: Dump = no_dump
    ) -> Compiled:
        """Compile an integer network; with ``layers`` or without, kernels run one after the other on whole tensors."""
        from toolchain.backends.opencl.build import compile_opencl

        assert target.gpu is not None
        return replace(compile_opencl(model, target.gpu, tuning, dump=dump), target=target.name)

    def compile_floats(self, model: SRModel, target: Target, precision: str, *, dump: Dump = no_dump) -> Compiled:
        """Compile a float network, see `toolchain.backends.opencl.build.compile_opencl_floats`."""
        from toolchain.backends.opencl.build import compile_opencl_floats

        assert target.gpu is not None
        return replace(compile_opencl_floats(model, target, target.gpu, precision, dump=dump), target=target.name)

    def open(self, library: Path, geometry: Geometry, threads: int | None = None) -> Runner:
        """Load a launch plan with its kernels onto a CPU's OpenCL, where they are checked.

        Raises:
            BundleError: a file is missing or damaged.
            TargetError: there is no such device, or it cannot run the kernels.
        """
        from toolchain.runtime.opencl.files import load_runner

        return load_runner(library, DEVICE)

    def open_each_way(self, library: Path, geometry: Geometry, threads: int | None = None) -> tuple[Runner, ...]:
        """Load it, see `open`: there is no other way."""
        return (self.open(library, geometry, threads),)

    def kernel_times(
        self, library: Path, compiled: Compiled, geometry: Geometry, size: tuple[int, int]
    ) -> KernelTimes | None:
        """Time nothing: kernels run on a device, and an OpenCL device of this machine is no phone's."""
        return None
