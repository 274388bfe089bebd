"""OpenCL devices: chosen by what the user calls them, and asked for what the kernels rely on."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

from toolchain.support.errors import TargetError

KINDS = {"opencl-cpu": "CPU", "opencl-gpu": "GPU"}
"""What ``--device`` takes, each with OpenCL's name of the kind."""

_SIMPLEST = "__kernel void probe(__global uchar *x) { x[0] = 1; }"
_INSTALL = "`pip install 'clipfree[opencl]'` brings PoCL, which makes this machine's processor one"


def find_device(wish: str) -> Any:
    """Return the OpenCL device that ``wish`` means, as pyopencl knows it: the first of a kind, a key of `KINDS`, whose
    driver can build kernels; or, where a colon follows, the first of them whose name or platform's name contains what
    stands behind ("opencl-cpu:rusticl").

    Raises:
        TargetError: no such kind, no pyopencl, no such device, its driver builds no kernels, or it rounds otherwise
            than they need.
    """
    kind, part = parse_wish(wish)
    cl = import_pyopencl()
    number = getattr(cl.device_type, kind)
    try:
        devices = [device for platform in cl.get_platforms() for device in platform.get_devices(number)]
    except cl.Error as error:  # PLATFORM_NOT_FOUND_KHR where there is none
        raise TargetError("there is no OpenCL on this machine", hint=_INSTALL) from error
    if not devices:
        raise TargetError(f"OpenCL finds no {kind} on this machine", hint=_INSTALL)
    named = [device for device in devices if part.lower() in device_name(device).lower()]
    if not named:
        raise TargetError(
            f"OpenCL finds no {kind} called {part!r} on this machine",
            hint=f"there are: {', '.join(map(device_name, devices))}",
        )
    failed = ""
    for device in named:
        failed = _failure(cl, device)
        if not failed:
            break
    else:
        raise TargetError(
            f"{device_name(named[-1])} can build no kernel at all on this machine{failed}",
            hint="install another OpenCL driver, or a newer one" + ("" if part else "; --device KIND:NAME names one"),
        )
    if not device.single_fp_config & cl.device_fp_config.ROUND_TO_NEAREST:
        raise TargetError(
            f"{device.name.strip()} does not round float32 to nearest, which INT8 kernels rely on",
            hint="choose another device",
        )
    return device


def list_devices() -> tuple[tuple[str, str, str], ...]:
    """Return every device's name, its kind, and why its driver builds no kernels, behind a colon; empty where it does.

    Raises:
        TargetError: no pyopencl, or it finds no OpenCL.
    """
    cl = import_pyopencl()
    try:
        devices = [device for platform in cl.get_platforms() for device in platform.get_devices()]
    except cl.Error as error:
        raise TargetError("there is no OpenCL on this machine", hint=_INSTALL) from error
    kinds = {getattr(cl.device_type, kind): f"a {kind}" for kind in KINDS.values()}
    return tuple(
        (device_name(device), kinds.get(device.type, "an accelerator"), _failure(cl, device)) for device in devices
    )


def _failure(cl: Any, device: Any) -> str:
    """Return what the driver says of the simplest kernel, behind a colon; empty where it builds it. PoCL's compiler may
    be older than the processor.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            cl.Program(cl.Context([device]), _SIMPLEST).build()
        except cl.Error as error:
            return f": {last_words(error)}"
    return ""


def last_words(error: Exception) -> str:
    """Return what a driver's compiler says is wrong, of all that it says."""
    said = [line.strip() for line in str(error).splitlines() if "error:" in line.lower()]
    return said[0] if said else (str(error).strip().splitlines() or ["no reason is given"])[0]


def device_name(device: Any) -> str:
    """Return what a device and its driver call themselves."""
    return f"{device.name.strip()} ({device.platform.name.strip()})"


def parse_wish(wish: str) -> tuple[str, str]:
    """OpenCL's name of the kind of device that ``--device`` asks for, and a part of the device's own name, or "".

    Raises:
        TargetError: there is no such kind.
    """
    name, _, part = wish.partition(":")
    if name not in KINDS:
        raise TargetError(f"--device {wish} is not known", hint=f"give {' or '.join(KINDS)}")
    return KINDS[name], part.strip()


def import_pyopencl() -> Any:
    """Return the module pyopencl.

    Raises:
        TargetError: it is not installed.
    """
    try:
        import pyopencl
    except ImportError as error:
        raise TargetError("running OpenCL kernels needs pyopencl", hint="`pip install 'clipfree[opencl]'`") from error
    return pyopencl


def drivers_of_pip() -> dict[str, str]:
    """Environment variables by which a program without Python finds the devices that pyopencl finds: those of the
    system, and PoCL as the extra ``opencl`` brings it.

    Empty where that is not installed, or another driver was named.
    """
    spec = importlib.util.find_spec("pyopencl")
    if "CLIPFREE_OPENCL" in os.environ or spec is None or spec.origin is None:
        return {}
    home = Path(spec.origin).parent
    loaders, drivers = (sorted(home.glob(f".libs/{name}*.so*")) for name in ("libOpenCL", "libpocl"))
    if not loaders or not drivers:
        return {}
    # Its loader looks for drivers in that home, too, and finds them by their names.
    paths = [str(drivers[0].parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"CLIPFREE_OPENCL": str(loaders[0]), "PYOPENCL_HOME": str(home), "LD_LIBRARY_PATH": os.pathsep.join(paths)}
