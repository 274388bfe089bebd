"""A network for OpenCL as files: the plan, beside it the constants, a source for every kernel, and the host part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolchain.bundle.launch_plan import LaunchPlan, parse_plan
from toolchain.runtime.opencl.device import find_device
from toolchain.runtime.opencl.runner import OpenClRunner
from toolchain.support.errors import BundleError

CONSTANTS, KERNELS, HOST = "constants.bin", "kernels", "host"


def load_runner(plan: Path, device: str) -> OpenClRunner:
    """Return the network whose launch plan is the file ``plan``, on a device as the user calls it ("opencl-cpu").

    Raises:
        BundleError: a file is missing or damaged.
        TargetError: there is no such device, or it cannot run the kernels.
    """
    found = find_device(device)
    read = read_plan(plan)
    try:
        constants = plan.with_name(CONSTANTS).read_bytes()
        sources = {
            launch.kernel: (plan.parent / KERNELS / f"{launch.kernel}.cl").read_text(encoding="utf-8")
            for launch in read.launches
        }
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{plan.parent} lacks a part: {error}", hint="deploy the model again") from error
    if any(c.offset + np.dtype(c.dtype).itemsize * c.count > len(constants) for c in read.constants):
        raise BundleError(f"{plan.with_name(CONSTANTS)} is too short", hint="deploy the model again")
    return OpenClRunner(read, sources, constants, found)


def read_plan(path: Path) -> LaunchPlan:
    """Return the launch plan in a file.

    Raises:
        BundleError: it is missing or damaged.
    """
    try:
        return parse_plan(path.read_bytes(), str(path))
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}", hint="deploy the model again") from error
