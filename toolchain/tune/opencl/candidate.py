"""A candidate as a file: a kernel's source, and what one must know to launch it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from toolchain.backends.opencl import integer_conv as template
from toolchain.backends.opencl.choose import job_of
from toolchain.backends.opencl.prelude import prelude
from toolchain.backends.opencl.source import generate
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.launch import LaunchConfig
from toolchain.schedules.task import Task
from toolchain.support.serialization import from_plain, to_plain
from toolchain.targets.gpu import Gpu

NAME = "conv"
"""The name of every candidate's kernel."""


@dataclass(frozen=True)
class Written:
    """A candidate: OpenCL C with its prelude, the names of the kernel's arguments in order, and its cut."""

    source: str
    arguments: tuple[str, ...]
    cut: LaunchConfig


def generated(task: Task, cut: LaunchConfig, gpu: Gpu) -> Written:
    """Return the kernel of ``task``, cut by ``cut``; it takes any size, as in a network."""
    function = template.build(job_of(task), task.geometry(dot_product("opencl")), cut)
    made = generate(NAME, function)
    return Written(prelude(integer_dot=gpu.integer_dot) + made.code, made.arguments, cut)


def write(task: Task, cut: LaunchConfig, gpu: Gpu, path: Path) -> None:
    """Write a candidate to the file ``path``."""
    path.write_text(json.dumps(to_plain(generated(task, cut, gpu))), encoding="utf-8")


def read(path: Path) -> Written:
    """Return the candidate that `write` wrote."""
    return from_plain(Written, json.loads(path.read_bytes()))
