"""A candidate as a library for boards: the host part of bundles with a plan of one launch, whose tensors are given."""

from __future__ import annotations

from pathlib import Path

from toolchain.backends.opencl.host import compile_sources, write_sources
from toolchain.bundle.launch_plan import Buffer, Constant, Extent, Launch, LaunchPlan, lay_out
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.layout import Geometry
from toolchain.schedules.task import Task
from toolchain.support.files import scratch_folder
from toolchain.targets import Target
from toolchain.targets.linker import find_c_compiler
from toolchain.tune.opencl.candidate import NAME, Written
from toolchain.tune.opencl.data import RESIDUAL, RESULT, SMALL, SOURCE, constants, sample_of, work

TENSORS = (SOURCE, RESIDUAL, RESULT)
"""What the library's ``give`` and ``take`` number."""


def compile_candidate(task: Task, written: Written, target: Target, path: Path) -> None:
    """Compile a candidate to the library ``path``, with the constants of the small sample.

    Raises:
        TargetError: there is no C compiler, or it fails.
    """
    laid, data = lay_out(constants(task, written.cut, sample_of(task, *SMALL)))
    launch = Launch(NAME, written.arguments, work(task, written.cut), written.cut.group)
    _compile(task.geometry(dot_product("opencl")), laid, data, launch, written.source, target, path)


def compile_probe(target: Target, path: Path) -> None:
    """Compile a library whose kernel does nothing to ``path``: it tells what a board's device is called.

    Raises:
        TargetError: there is no C compiler, or it fails.
    """
    nothing = Launch("nothing", (), (Extent("one"),) * 3, (1, 1, 1))
    _compile(Geometry(1, 1), (), b"", nothing, "__kernel void nothing(void) {}\n", target, path)


def _compile(
    geometry: Geometry, laid: tuple[Constant, ...], data: bytes, launch: Launch, source: str, target: Target, path: Path
) -> None:
    buffers = tuple(Buffer(name, "uint32", 1, 0) for name in TENSORS)
    plan = LaunchPlan(1, 1, geometry.margin, geometry.columns, buffers, laid, (launch,))
    with scratch_folder() as folder:
        sources = folder / "host"
        write_sources(sources, plan, {launch.kernel: source}, data)
        compile_sources(sources, path, find_c_compiler(target.triple))
