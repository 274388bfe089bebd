"""OpenCL on this machine's processor: where it is missing, tests that need it are skipped with a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from tests.lower.compiled import picture
from toolchain.backends.opencl.choose import Choice, Choose, by_estimate
from toolchain.backends.opencl.estimate import estimate
from toolchain.backends.opencl.job import Job
from toolchain.backends.opencl.launches import OpenClProgram
from toolchain.backends.opencl.lower import program
from toolchain.backends.opencl.prelude import prelude
from toolchain.frontend.smallest import smallest_picture
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.launch import LaunchConfig
from toolchain.lower import lower_whole
from toolchain.quantize import IntegerReference
from toolchain.runtime.opencl.device import drivers_of_pip, find_device
from toolchain.runtime.opencl.runner import OpenClRunner
from toolchain.support.errors import TargetError
from toolchain.targets import find_target
from toolchain.targets.gpu import Gpu

GPU = find_target("mali-g78").gpu
assert GPU is not None
SIZE = (360, 640)


def single(job: Job) -> LaunchConfig:
    """The least that a work-item can do, in work-groups of three dimensions."""
    return LaunchConfig(1, job.channels[0], (4, 2, 2), 2)


def large(job: Job) -> LaunchConfig:
    """Much of everything."""
    return LaunchConfig(8, max(c for c in job.channels if c <= 36), (8, 1, 1), 8, unroll=True)


def always(cut: Callable[[Job], LaunchConfig], gpu: Gpu, height: int, width: int) -> Choose:
    """Kernels cut in one way."""

    def choose(job: Job) -> Choice:
        chosen = cut(job)
        return Choice(chosen, estimate(job, chosen, gpu.core, height, width))

    return choose


CHOICES: dict[str, Choose] = {
    **{
        name: by_estimate(gpu, *SIZE)
        for name in ("mali-g78", "mali-g52", "adreno-640", "adreno-740", "opencl-cpu")
        if (gpu := find_target(name).gpu)
    },
    "single": always(single, GPU, *SIZE),
    "large": always(large, GPU, *SIZE),
}
SMALL = ((1, 1), (5, 7), (9, 35))


def device() -> Any:
    """A CPU as an OpenCL device."""
    pytest.importorskip("pyopencl", reason="OpenCL kernels run through pyopencl")
    try:
        return find_device("opencl-cpu")
    except TargetError as error:
        pytest.skip(f"{error.message}; {error.hint}")


def pocl() -> None:
    """Skip without PoCL: the target opencl-cpu has tiles for its work-groups, and it leaves no endless loop."""
    if "llvmpipe" in device().name:
        pytest.skip("llvmpipe runs smaller work-groups, and leaves every loop after 65536 rounds")


def made(model: onnx.ModelProto, choose: str) -> OpenClProgram:
    """The kernels of a QDQ model."""
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return program(lower_whole(model, dot_product("opencl")), channels, GPU, CHOICES[choose], SIZE[0] * SIZE[1])


def runner(program: OpenClProgram, before: str = "", *, integer_dot: bool = False) -> OpenClRunner:
    """Its kernels on this machine, with more code before each."""
    head = before + prelude(integer_dot=integer_dot)
    sources = {kernel.name: head + kernel.code for kernel in program.kernels}
    return OpenClRunner(program.plan, sources, program.constants, device())


def assert_equal(model: onnx.ModelProto, choose: str, *, before: str = "", integer_dot: bool = False) -> OpenClProgram:
    """Its kernels give the reference's pixels."""
    found, reference, least = made(model, choose), IntegerReference(model), smallest_picture(model)
    machine = runner(found, before, integer_dot=integer_dot)
    for seed, size in enumerate(SMALL):
        height, width = map(max, size, least)
        pixels = picture(height, width, found.plan.channels, seed)
        np.testing.assert_array_equal(machine.upscale(pixels), reference.run(pixels), err_msg=f"{height} x {width}")
    return found


def environment() -> dict[str, str]:
    """Variables by which programs without Python find the tests' OpenCL."""
    device()
    found = drivers_of_pip()
    if not found:
        pytest.skip("PoCL was not installed by pip here")
    return {**os.environ, **found}
