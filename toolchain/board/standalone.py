"""A folder that checks and times a bundle on a device without TVM, Python or RPC: for 32-bit Arm and Android, where TVM
has no runtime to install, and for whoever wants no server.

The program in it (`lite/`, C) uses the library through its C interface. It is linked statically and loads the library
itself, so that one file runs on any Linux of its processor, whatever its C library.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from toolchain.backends.c_sources import SHARED
from toolchain.backends.cpu.needs import lacking
from toolchain.board.pack import run_compiler
from toolchain.bundle import LIBRARY, Bundle, check_interface
from toolchain.images import Pixels
from toolchain.runtime.verify import standard_for
from toolchain.support.errors import BundleError, InputError
from toolchain.support.files import atomic_folder
from toolchain.targets import architecture
from toolchain.targets.elf import Library
from toolchain.targets.linker import find_c_compiler

PROGRAM = "clipfree-bench"
_SOURCES = Path(__file__).with_name("lite")
_MUSL = {"x86_64": "x86_64-linux-musl", "aarch64": "aarch64-linux-musl", "armv7a": "arm-linux-musleabi"}


def build_standalone(bundle: Bundle, out: Path) -> tuple[Path, ...]:
    """Write a folder with the program, the library, the golden picture and the expected one; returns its files.

    Where a part of the network is float, pictures need not come out to the bit: the program knows how far off they may
    be.

    Raises:
        BundleError: the bundle holds OpenCL kernels, or its library needs what the program does not have.
        TargetError: there is no C compiler for its target, or it fails.
        InputError: ``out`` holds something else.
        OutputError: the folder cannot be written.
    """
    manifest = bundle.manifest
    if manifest.target.gpu is not None:
        raise BundleError(
            f"{bundle.path} holds OpenCL kernels, no library for a CPU",
            hint="such bundles are checked with `clipfree verify`",
        )
    check_library(bundle.check_library(), manifest.target.triple, str(bundle.path / LIBRARY))
    if out.is_dir() and any(out.iterdir()) and not (out / PROGRAM).exists():
        raise InputError(f"{out} holds something else than {PROGRAM}", hint="choose another place with -o")
    tolerance = standard_for(manifest.precision, manifest.coverage.float_operators).tolerance
    suffix = "ppm" if manifest.channels == 3 else "pgm"
    with atomic_folder(out) as folder:
        shutil.copyfile(bundle.path / LIBRARY, folder / LIBRARY)
        for name, picture in zip(("golden", "expected"), bundle.golden(), strict=True):
            (folder / f"{name}.{suffix}").write_bytes(_portable(picture))
        compile_standalone(manifest.target.triple, folder / PROGRAM, tolerance)
    return tuple(out / name for name in (PROGRAM, LIBRARY, f"golden.{suffix}", f"expected.{suffix}"))


def check_library(library: Library, triple: str, name: str) -> None:
    """Demand that ``library``, called ``name`` in messages, can be run by the program for ``triple``.

    Raises:
        BundleError: it has no C interface, or that lacks something, or it imports what the program does not have.
    """
    check_interface(library, name)
    try:
        missing = lacking(library)
    except ValueError as error:
        raise BundleError(
            f"the program in {name} is not understood: it is damaged, or of another version of TVM",
            hint="deploy the model again",
        ) from error
    own = _listed("IMPORTS") | _listed(f"{architecture(triple).upper()}_IMPORTS")
    missing = (*missing, *sorted(library.needs - own))
    if missing:
        raise BundleError(
            f"{name} needs {', '.join(missing)}, which the program without TVM does not have",
            hint="run it where TVM is: `clipfree board build`",
        )


def _listed(name: str) -> frozenset[str]:
    """Return the names of a list of ``imports.h``; none if there is no such list."""
    text = (_SOURCES / "imports.h").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(rf"^#define {name}\(X\)(.*)$", text, re.MULTILINE)
    return frozenset(symbol for line in lines for symbol in re.findall(r"X\((\w+)\)", line))


def compile_standalone(triple: str, program: Path, tolerance: int = 0) -> None:
    """Compile the program for ``triple``, that lets values of the golden picture be off by ``tolerance`` codes.

    It asks nothing of the system's C library: a compiler for GNU/Linux serves for Android too.

    Raises:
        TargetError: there is no C compiler for it, or it fails.
    """
    compiler = find_c_compiler(triple)
    command = compiler.command
    if compiler.source == "ziglang":  # which links statically with musl only; the target is the last word
        command = (*command[:-1], _MUSL[architecture(triple)] + ("hf" if triple.endswith("hf") else ""))
    sources = sorted(map(str, _SOURCES.glob("*.c")))
    run_compiler(
        [
            *command,
            "-xc",
            "-std=gnu11",
            "-O2",
            "-s",
            "-static",
            "-pthread",
            f"-DTOLERANCE={tolerance}",
            f"-I{SHARED}",
            *sources,
            "-lm",
            "-o",
            str(program),
        ],
        PROGRAM,
    )


def _portable(picture: Pixels) -> bytes:
    """Pixels (h, w, 1 or 3) as PGM or PPM."""
    height, width, channels = picture.shape
    return f"P{6 if channels == 3 else 5}\n{width} {height}\n255\n".encode() + picture.tobytes()
