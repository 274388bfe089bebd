"""The arrays that a candidate runs on, wherever its device is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.backends.opencl import integer_conv as template
from toolchain.backends.opencl.choose import job_of
from toolchain.bundle.launch_plan import Extent
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.tile import default_tile
from toolchain.schedules.task import Task
from toolchain.tune.kernel_data import KernelData, make_sample

Array = npt.NDArray[Any]

SMALL = 19, 67
"""Height and width of the picture on which candidates are compared with the reference: no work-group divides it."""

SOURCE, RESIDUAL, RESULT = "x", "r", "y"
"""What kernels call the tensors or pictures that they read and write."""


def sample_of(task: Task, height: int, width: int) -> KernelData:
    """Return random data of the task's kernel, and what the reference makes of them."""
    return make_sample(
        task.conv, task.geometry(dot_product("opencl")), height, width, picture=task.picture, anchor=task.anchor
    )


def tensors(task: Task, sample: KernelData) -> dict[str, Array]:
    """Return what is read, and the result before the kernel ran, by name: packed uint32, or u8 pictures."""
    x, *others = sample.tensors
    result = sample.output()
    if task.conv.pixels is None:  # kernels write inside of the picture only
        result[:] = task.conv.requantize.zero_point * 0x01010101
    found = {SOURCE: _pixels(sample.codes, task.picture) if task.picture else x, RESULT: result}
    if sample.residual is not None:
        found[RESIDUAL] = _pixels(sample.residual, task.anchor) if task.anchor else others[0]
    return found


def constants(task: Task, cut: LaunchConfig, sample: KernelData) -> dict[str, Array]:
    """Return a sample's weights and what goes with them, by name, in the order of ``cut``."""
    dot = dot_product("opencl")
    arrays = sample.constants(dot, default_tile(task.conv, dot.columns, dot))
    return template.arrange(job_of(task), cut, *arrays)


def work(task: Task, cut: LaunchConfig) -> tuple[Extent, Extent, Extent]:
    """Work-items of the task's kernel."""
    return Extent("width", cut.pixels), Extent("height"), Extent("one", 1, len(job_of(task).order) // cut.channels)


def _pixels(codes: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """Return a picture (h, w, channels) of codes (c, h, w)."""
    return np.ascontiguousarray(np.moveaxis(codes[:channels], 0, -1))
