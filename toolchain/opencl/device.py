"""OpenCL devices: chosen by what the user calls them, and asked for what the kernels rely on."""

from __future__ import annotations

import importlib.util
import os
from ctypes.util import find_library
from pathlib import Path
from typing import Any

from toolchain.errors import TargetError

KINDS = {"opencl-cpu": "CPU", "opencl-gpu": "GPU"}
"""What ``--device`` takes, each with OpenCL's name of the kind."""

_INSTALL = "`pip install 'clipfree[opencl]'` brings PoCL, which makes this machine's processor one"


def find_device(name: str) -> Any:
    """The first OpenCL device of the kind ``name``, a key of `KINDS`, as pyopencl knows it.

    Raises:
        TargetError: no such kind, no pyopencl, no such device, or it rounds otherwise than the kernels need.
    """
    check_name(name)
    cl = import_pyopencl()
    kind = getattr(cl.device_type, KINDS[name])
    try:
        devices = [device for platform in cl.get_platforms() for device in platform.get_devices(kind)]
    except cl.Error as error:    # PLATFORM_NOT_FOUND_KHR where there is none
        raise TargetError("there is no OpenCL on this machine", hint=_INSTALL) from error
    if not devices:
        raise TargetError(f"OpenCL finds no {KINDS[name]} on this machine", hint=_INSTALL)
    device = devices[0]
    if not device.single_fp_config & cl.device_fp_config.ROUND_TO_NEAREST:
        raise TargetError(f"{device.name.strip()} does not round float32 to nearest, which INT8 kernels rely on",
                          hint="choose another device")
    return device


def check_name(name: str) -> None:
    """See whether ``name`` is a key of `KINDS`.

    Raises:
        TargetError: it is not.
    """
    if name not in KINDS:
        raise TargetError(f"--device {name} is not known", hint=f"give {' or '.join(KINDS)}")


def import_pyopencl() -> Any:
    """The module pyopencl.

    Raises:
        TargetError: it is not installed.
    """
    try:
        import pyopencl
    except ImportError as error:
        raise TargetError("running OpenCL kernels needs pyopencl", hint="`pip install 'clipfree[opencl]'`") from error
    return pyopencl


def drivers_of_pip() -> dict[str, str]:
    """Environment variables by which a program without Python finds PoCL as the extra ``opencl`` brings it.

    Empty where it is not installed, or not needed: the machine has OpenCL of its own, or another one was named.
    """
    spec = importlib.util.find_spec("pyopencl")
    if "CLIPFREE_OPENCL" in os.environ or find_library("OpenCL") or spec is None or spec.origin is None:
        return {}
    home = Path(spec.origin).parent
    loaders, drivers = (sorted(home.glob(f".libs/{name}*.so*")) for name in ("libOpenCL", "libpocl"))
    if not loaders or not drivers:
        return {}
    return {"CLIPFREE_OPENCL": str(loaders[0]), "OCL_ICD_VENDORS": str(drivers[0]), "PYOPENCL_HOME": str(home)}
