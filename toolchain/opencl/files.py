"""A network for OpenCL as files: the plan, the constants beside it, and a source for every kernel."""

from __future__ import annotations

from pathlib import Path

from toolchain.errors import BundleError
from toolchain.opencl.device import find_device
from toolchain.opencl.plan import parse_plan
from toolchain.opencl.runner import OpenClRunner

PLAN, CONSTANTS, KERNELS = "plan.json", "constants.bin", "kernels"


def load_runner(plan: Path, device: str) -> OpenClRunner:
    """The network whose launch plan is the file ``plan``, on a device as the user calls it ("opencl-cpu").

    Raises:
        BundleError: a file is missing or damaged.
        TargetError: there is no such device, or it cannot run the kernels.
    """
    found = find_device(device)
    try:
        read = parse_plan(plan.read_bytes(), str(plan))
        constants = plan.with_name(CONSTANTS).read_bytes()
        sources = {launch.kernel: (plan.parent / KERNELS / f"{launch.kernel}.cl").read_text(encoding="utf-8")
                   for launch in read.launches}
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{plan.parent} lacks a part: {error}", hint="deploy the model again") from error
    if any(c.offset + 4 * c.count > len(constants) for c in read.constants):
        raise BundleError(f"{plan.with_name(CONSTANTS)} is too short", hint="deploy the model again")
    return OpenClRunner(read, sources, constants, found)
