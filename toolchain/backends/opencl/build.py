"""From a quantized model to OpenCL kernels: what `toolchain.backends.cpu.build` is for CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.backends.c_sources import put_header
from toolchain.backends.opencl.choose import Choice, by_estimate, by_log
from toolchain.backends.opencl.host import About, compile_sources, write_sources
from toolchain.backends.opencl.launches import OpenClProgram
from toolchain.backends.opencl.lower import program
from toolchain.backends.opencl.prelude import FLOATS, prelude
from toolchain.backends.script import SUFFIX, script
from toolchain.bundle import LIBRARY
from toolchain.bundle.launches import Figures
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.vectors import vectors_for
from toolchain.lower import Coverage, Kernel, import_qdq, lower_whole
from toolchain.lower.float_lowering import lower_float_whole
from toolchain.runtime.opencl.files import CONSTANTS, HOST, KERNELS
from toolchain.schedules.coverage import coverage
from toolchain.schedules.select import SIZE, Tuning
from toolchain.support.dump import Dump, no_dump

if TYPE_CHECKING:
    from toolchain.frontend import SRModel
    from toolchain.images.geometry import Geometry
    from toolchain.quantize import QuantizedModel
    from toolchain.schedules.coverage import TunedCoverage
    from toolchain.targets import Target
    from toolchain.targets.gpu import Gpu
    from toolchain.targets.linker import Linker


@dataclass(frozen=True, eq=False)
class CompiledKernels:
    """A network as OpenCL kernels.

    Attributes:
        program: plan, kernels and constants.
        prelude: what stands before every kernel.
        coverage: how much of it is integer, or for a float network, is done by our kernels: all.
        kernels: its convolution kernels, in order of execution.
        target: the name of what it was compiled for, for those who ask the library.
    """

    program: OpenClProgram
    prelude: str
    coverage: Coverage
    kernels: tuple[Kernel[Any], ...]
    target: str = ""

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The cut of every convolution, and where it comes from."""
        return self.program.choices

    @property
    def further(self) -> int:
        """Pixels beyond its receptive field that tiles of a picture must carry: none."""
        return 0

    @property
    def figures(self) -> tuple[Figures, ...]:
        """What is expected of every launch."""
        return self.program.figures

    @property
    def segments(self) -> tuple[()]:
        """None: the network runs layer by layer."""
        return ()

    @property
    def tuned(self) -> TunedCoverage:
        """How much of it runs in kernels that were tuned."""
        return coverage(self.kernels, [self.choices[kernel.name] for kernel in self.kernels])

    def workspace(self, height: int, width: int) -> int:
        """Return bytes of memory on the device for an input of ``height`` x ``width`` pixels, the result included."""
        return self.program.plan.workspace(height, width)

    def line_buffers(self, width: int) -> int:
        """None: the network runs layer by layer."""
        return 0

    def export(self, path: Path, linker: Linker | None, name: str, geometry: Geometry) -> tuple[str, ...]:
        """Write the plan to ``path``, beside it the constants, the kernels' sources and those of the host part, and
        with a C compiler the host part itself, a library in the folder above.

        Raises:
            OSError: they cannot be written.
            TargetError: the compiler fails.
        """
        folder = path.parent / KERNELS
        folder.mkdir(parents=True)
        path.write_text(self.program.plan.to_json(), encoding="utf-8")
        path.with_name(CONSTANTS).write_bytes(self.program.constants)
        kernels = {kernel.name: self.prelude + kernel.code for kernel in self.program.kernels}
        for kernel, code in kernels.items():
            (folder / f"{kernel}.cl").write_text(code, encoding="utf-8")
        sources = path.with_name(HOST)
        about = About(name, self.target, geometry.smallest, geometry.reach)
        write_sources(sources, self.program.plan, kernels, self.program.constants, about)
        if linker is not None:
            compile_sources(sources, path.parent.parent / LIBRARY, linker)
            put_header(path.parent.parent)
        return ()

    def archive(self, path: Path, linker: Linker | None, name: str, geometry: Geometry) -> None:
        """Do nothing: static libraries for devices are refused before anything is compiled."""
        raise NotImplementedError


def compile_opencl(model: QuantizedModel, gpu: Gpu, tuning: Tuning, *, dump: Dump = no_dump) -> CompiledKernels:
    """Compile a quantized model to OpenCL C, with the cuts that ``tuning`` knows, else by estimate for its size.

    Raises:
        ModelError: a part of the model has no OpenCL kernel.
    """
    dump("import", SUFFIX, lambda: script(import_qdq(model.model)))
    lowered = lower_whole(model.model, dot_product("opencl"))
    dump("lower", SUFFIX, lambda: script(lowered.module))
    made = program(lowered, model.channels, gpu, by_log(tuning, gpu), tuning.height * tuning.width)
    return CompiledKernels(made, prelude(integer_dot=gpu.integer_dot), lowered.coverage, lowered.kernels)


def compile_opencl_floats(
    model: SRModel, target: Target, gpu: Gpu, precision: str, *, dump: Dump = no_dump
) -> CompiledKernels:
    """Compile a float model to OpenCL C; "float16" is how tensors are stored, sums are float32.

    Raises:
        ModelError: a part of the model has no OpenCL kernel.
        TargetError: there are no kernels of this precision.
    """
    dump("import", SUFFIX, lambda: script(import_qdq(model.model)))
    lowered = lower_float_whole(model, vectors_for(target, precision))
    dump("lower", SUFFIX, lambda: script(lowered.module))
    made = program(lowered, model.channels, gpu, by_estimate(gpu, *SIZE), prod(SIZE), precision)
    return CompiledKernels(made, FLOATS, lowered.coverage, lowered.kernels)
