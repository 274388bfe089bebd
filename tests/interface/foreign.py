"""Libraries of other systems, run by a program for Linux that puts them into memory, see foreign_runner.c."""

from __future__ import annotations

import contextlib
import platform
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from toolchain.backends.c_sources import SHARED
from toolchain.support.errors import TargetError
from toolchain.targets import Target, architecture
from toolchain.targets.elf import check_library, read_library

RUNNER = Path(__file__).with_name("foreign_runner.c")
QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


@dataclass(frozen=True)
class Image:
    """What a loader makes of a library.

    Attributes:
        size: bytes of memory.
        memory: the first of them; the others are 0.
        moved: where addresses of its own stand, which move with it.
        bound: where those of others are put, with their names.
        preferred: where it would lie if nothing moved.
        tolerant: it names functions that are called only by what is left out.
    """

    size: int
    memory: bytes
    moved: Sequence[int]
    bound: Sequence[tuple[int, str]]
    preferred: int = 0
    tolerant: bool = False


def _tables(image: Image, functions: int) -> str:
    return "\n".join(
        [
            f"enum {{ kSize = {image.size}, kFunctions = {functions}, kTolerant = {int(image.tolerant)} }};",
            f"static const uint64_t kPreferred = {image.preferred};",
            f"static const unsigned char bytes[] = {{{','.join(map(str, image.memory))}}};",
            f"static const uint64_t moved[] = {{{','.join(map(str, image.moved))}}};",
            "static const struct { uint64_t at; const char* name; } bound[] = {",
            *(f'  {{{at}, "{name}"}},' for at, name in image.bound),
            "};\n",
        ]
    )


def run(path: Path, read: Callable[[bytes], Image], target: Target, pixels: np.ndarray, scale: int) -> np.ndarray:
    """What a library makes of a picture; skips the test where something is missing."""
    compiler, emulator = "gcc", []
    if architecture(target.triple) == "aarch64":
        compiler, emulator = "aarch64-linux-gnu-gcc", [QEMU or "", "-cpu", "max"]
        if QEMU is None:
            pytest.skip("needs QEMU: apt install qemu-user-static")
    elif platform.machine() != "x86_64" or "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("needs a processor with AVX2")
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}")
    folder = path.parent
    (folder / "image.h").write_text(
        _tables(read(path.read_bytes()), read_library(path).defines["clipfree_get_functions"])
    )
    program = folder / "runner"
    words = ["-O1", "-pthread", "-static", f"-I{folder}", f"-I{SHARED}", str(RUNNER), "-o", str(program)]
    subprocess.run([compiler, *words], check=True)
    sizes = [str(size) for size in (*pixels.shape, scale)]
    done = subprocess.run([*emulator, str(program), *sizes], input=pixels.tobytes(), capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode()
    height, width, channels = pixels.shape
    return np.frombuffer(done.stdout, np.uint8).reshape(scale * height, scale * width, channels)


def read_or_refuse_damaged(
    whole: bytes, path: Path, triple: str, system: str, sizes: Sequence[int], headers: int
) -> None:
    """Expect a refusal where ``whole`` is cut to ``sizes``, and nothing but one where a byte of its first ``headers``
    is another; ``path`` is what it is written to.
    """
    rng = random.Random(0)
    for size in sizes:
        path.write_bytes(whole[:size])
        with pytest.raises(TargetError, match=rf"not a library of {system}|cut off or damaged"):
            check_library(path, triple)
    for _ in range(300):
        data = bytearray(whole)
        data[rng.randrange(headers)] = rng.randrange(256)
        path.write_bytes(data)
        with contextlib.suppress(TargetError):
            check_library(path, triple)
