"""Run what is compiled for Arm here: under QEMU, in a small program that takes the place of TVM's runtime."""

from __future__ import annotations

import functools
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolchain.targets import Target, architecture
from toolchain.targets.linker import find_linker

_RUNNER = Path(__file__).with_name("kernel_runner.c")
_PREFIX = {"aarch64": "aarch64-linux-gnu", "armv7a": "arm-linux-gnueabihf"}
_QEMU = {"aarch64": "qemu-aarch64-static", "armv7a": "qemu-arm-static"}
# What QEMU 7.2 calls a processor with the instructions of each set of kernels.
_CPUS = {"neon": "cortex-a53", "neon-dotprod": "cortex-a76", "neon-i8mm": "max", "armv7-neon": "cortex-a7"}
_MATHS = ("-Wl,--no-as-needed", "-lm")
"""Libraries call it, and are not linked with it."""
_CODES = {"i": 0, "u": 1, "f": 2}


def missing(target: Target) -> str:
    """What this machine lacks to run code for ``target``, as a sentence; empty if nothing."""
    kind = architecture(target.triple)
    for program, package in ((_QEMU[kind], "qemu-user-static"), (f"{_PREFIX[kind]}-gcc", f"gcc-{_PREFIX[kind]}")):
        if shutil.which(program) is None:
            return f"needs {program}: apt install {package}"
    if not Path("/usr", _PREFIX[kind], "include", "stdio.h").is_file():
        return f"needs the headers of libc for {kind}: apt install g++-{_PREFIX[kind]}"
    return ""


def emulator(target: Target) -> list[str]:
    """The command that runs a program for ``target``, on a processor that has just what its kernels need.

    Skips the test where something is missing.
    """
    lacking = missing(target)
    if lacking:
        pytest.skip(lacking)
    kind = architecture(target.triple)
    return [_QEMU[kind], "-L", f"/usr/{_PREFIX[kind]}", "-cpu", _CPUS[target.instruction_set]]


def call(executable: Any, target: Target, arguments: Sequence[np.ndarray | int], *, name: str) -> np.ndarray:
    """Call ``name`` of what TVM compiled for ``target``; returns what became of the last of its arguments."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "kernel.so")
        executable.export_library(str(library), fcompile=find_linker(target.triple))
        return call_library(library, emulator(target), target, arguments, name=name)[0]


def call_library(
    library: Path,
    command: Sequence[str],
    target: Target,
    arguments: Sequence[np.ndarray | int],
    *,
    name: str,
    threads: int = 2,
    times: int = 1,
) -> tuple[np.ndarray, str]:
    """Call ``name`` of a library under the emulator ``command``, as if there were ``threads``.

    Returns what became of the last argument, and what the emulator said.
    """
    words = [
        *command,
        str(_program(architecture(target.triple))),
        str(library),
        f"__tvm_ffi_{name}",
        str(threads),
        str(times),
    ]
    done = subprocess.run(
        words, input=b"".join(map(_argument, arguments)), capture_output=True, timeout=300, check=False
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"exit {done.returncode}: {said}"
    last = arguments[-1]
    assert isinstance(last, np.ndarray)
    return np.frombuffer(done.stdout, last.dtype).reshape(last.shape), said


@functools.cache
def _program(kind: str) -> Path:
    """The program that calls a function, compiled once."""
    path = Path(tempfile.mkdtemp(prefix="clipfree-arm-"), "kernel_runner")
    compiler = f"{_PREFIX[kind]}-gcc"
    subprocess.run([compiler, "-O1", "-Wall", "-rdynamic", "-o", str(path), str(_RUNNER), "-ldl", *_MATHS], check=True)
    return path


def _argument(value: np.ndarray | int) -> bytes:
    if isinstance(value, np.ndarray):
        kind = struct.pack("<iiii", value.ndim, _CODES[value.dtype.kind], 8 * value.itemsize, 1)
        return kind + np.asarray(value.shape, "<i8").tobytes() + np.ascontiguousarray(value).tobytes()
    return struct.pack("<iq", -1, value)
