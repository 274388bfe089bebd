"""OpenCL on this machine's processor: where it is missing, tests that need it are skipped with a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.lower.compiled import picture
from toolchain.errors import TargetError
from toolchain.kernels.intrinsics import dot_product
from toolchain.lower import lower_model
from toolchain.opencl.device import find_device
from toolchain.opencl.launches import Program, Shape
from toolchain.opencl.lower import program
from toolchain.opencl.prelude import prelude
from toolchain.opencl.runner import OpenClRunner
from toolchain.quantize import IntegerReference

SHAPES = {
    "mali": Shape(4, 16, (8, 8, 1)),
    "adreno": Shape(4, 32, (16, 8, 1)),
    "one pixel": Shape(1, 8, (4, 2, 2)),
    "cpu": Shape(8, 32, (8, 1, 1)),
}
SMALL = ((1, 1), (5, 7), (9, 35))


def device() -> Any:
    """A CPU as an OpenCL device."""
    pytest.importorskip("pyopencl", reason="OpenCL kernels run through pyopencl")
    try:
        return find_device("opencl-cpu")
    except TargetError as error:
        pytest.skip(f"{error.message}; {error.hint}")


def made(model: onnx.ModelProto, shape: Shape) -> Program:
    """The kernels of a QDQ model."""
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    return program(lower_model(model, dot_product("opencl")), channels, shape)


def runner(program: Program, before: str = "", *, integer_dot: bool = False) -> OpenClRunner:
    """Its kernels on this machine, with more code before each."""
    head = before + prelude(integer_dot=integer_dot)
    sources = {kernel.name: head + kernel.code for kernel in program.kernels}
    return OpenClRunner(program.plan, sources, program.constants, device())


def assert_equal(model: onnx.ModelProto, shape: Shape, *, before: str = "", integer_dot: bool = False) -> Program:
    """Its kernels give the reference's pixels."""
    found, reference = made(model, shape), IntegerReference(model)
    machine = runner(found, before, integer_dot=integer_dot)
    for seed, (height, width) in enumerate(SMALL):
        pixels = picture(height, width, found.plan.channels, seed)
        np.testing.assert_array_equal(machine.upscale(pixels), reference.run(pixels), err_msg=f"{height} x {width}")
    return found
