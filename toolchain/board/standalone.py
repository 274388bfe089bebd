"""A folder that checks and times a bundle on a device without TVM, Python or RPC: for 32-bit Arm and Android, where TVM
has no runtime to install, and for whoever wants no server.

The program in it (`lite/`, C) runs what TVM's virtual machine would run: the bytecode and the constants that model.so
holds. It is linked statically and loads the library itself, so that one file runs on any Linux of its processor.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from toolchain.atomic import atomic_folder
from toolchain.board.pack import run_compiler
from toolchain.bundle import Bundle, library_of
from toolchain.errors import BundleError, InputError
from toolchain.images import Pixels
from toolchain.link import find_c_compiler
from toolchain.precision import INT8
from toolchain.targets import architecture

PROGRAM = "clipfree-bench"
_SOURCES = Path(__file__).with_name("lite")
_MUSL = {"x86_64": "x86_64-linux-musl", "aarch64": "aarch64-linux-musl", "armv7a": "arm-linux-musleabihf"}


def build_standalone(bundle: Bundle, out: Path) -> tuple[Path, ...]:
    """Write a folder with the program, the library, the golden picture and the expected one; returns its files.

    Raises:
        BundleError: the bundle holds OpenCL kernels, or floats, whose pictures need not come out to the bit.
        TargetError: there is no C compiler for its target, or it fails.
        InputError: ``out`` holds something else.
        OutputError: the folder cannot be written.
    """
    manifest = bundle.manifest
    if manifest.target.gpu is not None or manifest.precision != INT8:
        raise BundleError(f"{bundle.path} is not for a CPU in INT8",
                          hint="such bundles are checked with `clipfree verify`")  # fmt: skip
    if out.is_dir() and any(out.iterdir()) and not (out / PROGRAM).exists():
        raise InputError(f"{out} holds something else than {PROGRAM}", hint="choose another place with -o")
    library = library_of(manifest.target)
    suffix = "ppm" if manifest.channels == 3 else "pgm"
    with atomic_folder(out) as folder:
        shutil.copyfile(bundle.path / library, folder / library)
        for name, picture in zip(("golden", "expected"), bundle.golden(), strict=True):
            (folder / f"{name}.{suffix}").write_bytes(_portable(picture))
        compile_standalone(manifest.target.triple, folder / PROGRAM)
    return tuple(out / name for name in (PROGRAM, library, f"golden.{suffix}", f"expected.{suffix}"))


def compile_standalone(triple: str, program: Path) -> None:
    """Compile the program for ``triple``.

    It asks nothing of the system's C library: a compiler for GNU/Linux serves for Android too.

    Raises:
        TargetError: there is no C compiler for it, or it fails.
    """
    compiler = find_c_compiler(triple)
    command = compiler.command
    if compiler.source == "ziglang":  # which links statically with musl only; the target is the last word
        command = (*command[:-1], _MUSL[architecture(triple)])
    sources = sorted(map(str, _SOURCES.glob("*.c")))
    run_compiler([*command, "-xc", "-std=gnu11", "-O2", "-s", "-static", "-pthread", *sources, "-lm", "-o",
                  str(program)], PROGRAM)  # fmt: skip


def _portable(picture: Pixels) -> bytes:
    """Pixels (h, w, 1 or 3) as PGM or PPM."""
    height, width, channels = picture.shape
    return f"P{6 if channels == 3 else 5}\n{width} {height}\n255\n".encode() + picture.tobytes()
