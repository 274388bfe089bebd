"""Small networks on a device, against the integer reference: `python -m tests.opencl.other DEVICE`.

Run in a process of its own, as some implementations are chosen by the environment that a process starts with.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from tests.lower.compiled import picture
from tests.lower.nets import Net
from tests.lower.test_float import built, halved, pooled
from tests.lower.test_float_layers import normalized_pixels, sampled
from tests.opencl import devices
from tests.opencl.test_networks import two_stages
from toolchain.backends.opencl.build import compile_opencl_floats
from toolchain.backends.opencl.prelude import prelude
from toolchain.quantize import IntegerReference
from toolchain.runtime.opencl.device import device_name, find_device, import_pyopencl
from toolchain.runtime.opencl.runner import OpenClRunner
from toolchain.targets import find_target
from toolchain.workflows.evaluate import float_upscale

SIZES = ((1, 1), (4, 11), (9, 35))


def networks() -> Mapping[str, onnx.ModelProto]:
    """A plain network, one with a sum, and one that shuffles pixels in between."""
    plain, summed, staged = Net(), Net(), Net()
    first = summed.conv(summed.input, 8)
    return {
        "plain": plain.model(plain.conv(plain.conv(plain.input, 8), 12), 2),
        "sum": summed.model(summed.conv(summed.add(summed.conv(first, 8), first), 12), 2),
        "stages": staged.model(two_stages(staged)),
    }


def fill_by_writing() -> None:
    """Fill buffers from this side: Oclgrind 21.10 takes what it fills itself for uninitialized."""
    cl = import_pyopencl()
    cl.enqueue_fill_buffer = lambda queue, buffer, pattern, offset, size: cl.enqueue_copy(
        queue, buffer, np.full(size, pattern, np.uint8)
    )


def check_floats(device: Any) -> None:
    """Float networks of every kind of kernel give the float model's pixels, nearly."""
    target = find_target("mali-g78")
    assert target.gpu is not None
    for write in (halved, pooled, normalized_pixels, sampled):
        model = built(write)
        made = compile_opencl_floats(model, target, target.gpu, "float32")
        sources = {kernel.name: made.prelude + kernel.code for kernel in made.program.kernels}
        runner = OpenClRunner(made.program.plan, sources, made.program.constants, device)
        pixels = picture(6, 12, 3)
        expected = float_upscale(model.model, model.value_range, threads=1)(pixels)
        assert np.abs(runner.upscale(pixels).astype(int) - expected).max() <= 1, write.__name__


def main(wish: str, *how: str) -> None:
    device = find_device(wish)
    slow = "written" in how
    if slow:
        fill_by_writing()
    if "floats" in how:
        check_floats(device)
        print(f"equal on {device_name(device)}")
        return
    for choice in ("mali-g78",) if slow else ("mali-g78", "single"):
        for name, model in networks().items():
            made, reference = devices.made(model, choice), IntegerReference(model)
            sources = {kernel.name: prelude(integer_dot=False) + kernel.code for kernel in made.kernels}
            runner = OpenClRunner(made.plan, sources, made.constants, device)
            for seed, size in enumerate(SIZES[1:2] if slow else SIZES):
                pixels = picture(*size, made.plan.channels, seed)
                np.testing.assert_array_equal(runner.upscale(pixels), reference.run(pixels), err_msg=f"{name} {size}")
            if not slow:
                times = runner.functions(pixels, 1)
                assert min(times.values()) > 1e-7, f"a launch took no time: {times}"
    print(f"equal on {device_name(device)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
