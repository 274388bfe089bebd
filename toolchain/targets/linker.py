"""Finding something that turns object files into a shared library: a C compiler, a bare linker, or zig from a pip
package.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.support.errors import TargetError
from toolchain.support.files import scratch_folder
from toolchain.targets import Target, architecture, is_macos, is_windows, machines
from toolchain.targets.elf import Elf, check_library

# No build id and no symbol table: the same objects give the same bytes, whatever the temporary files were called.
_COMPILER = ("-shared", "-fPIC", "-Wl,--build-id=none", "-s")
_DLL, _OF_GNU = ("-shared", "-s"), ("-static-libgcc", "-Wl,--no-insert-timestamp", "-Wl,--disable-auto-image-base")
_DYLIB = ("-shared", "-s", "-Wl,-dead_strip")
_LD = ("-shared", "--build-id=none", "-s")
_ZIG = (sys.executable, "-m", "ziglang", "cc", "-target")
_INSTALL = "install one with `pip install ziglang` (no root needed) or `apt install gcc`"


@dataclass(frozen=True)
class Linker:
    """A command that links shared libraries for one triple; callable as TVM's ``fcompile``.

    Attributes:
        command: the program and the arguments that come before all others.
        triple: what it links for.
        source: where it was found, for people ("$CC", "PATH", "ziglang").
        flags: that make it write a shared library.
    """

    command: tuple[str, ...]
    triple: str
    source: str
    flags: tuple[str, ...] = _COMPILER

    @property
    def compiles(self) -> bool:
        """Whether it takes C as well as objects."""
        return self.flags is not _LD

    @property
    def inline(self) -> tuple[str, ...]:
        """Flags for C that is linked without the C library: what calls would do is written out, and a compiler for
        GNU/Linux is told that it compiles for Android.
        """
        atomics = ("-mno-outline-atomics",) if architecture(self.triple) == "aarch64" else ()
        if "android" not in self.triple or self.source != "PATH":
            return atomics
        own = ("-march=armv7-a", "-mfpu=neon", "-mfloat-abi=softfp") if architecture(self.triple) == "armv7a" else ()
        return (*atomics, *own, "-D__ANDROID__")

    @property
    def helpers(self) -> tuple[str, ...]:
        """Where compilers keep what they call in any case: on 32-bit Arm divisions of 64 bits, and zig on 64-bit Arm
        atomics; to come after the objects.
        """
        if is_windows(self.triple):
            return ("-lapi-ms-win-core-synch-l1-2-0" if self.source == "ziglang" else "-lsynchronization",)
        if is_macos(self.triple):
            return ()
        if self.source == "ziglang":
            return () if is_native(self.triple) else ("-lcompiler_rt",)
        return ("-lgcc",) if architecture(self.triple) == "armv7a" else ()

    def __call__(
        self, output: str, objects: str | Iterable[str], options: Iterable[str] | None = None, **_: Any
    ) -> None:
        """Link ``objects`` into the shared library ``output``.

        Raises:
            TargetError: the linker failed (the message carries the last line it printed), or made something else.
        """
        self.run(Path(output), [objects] if isinstance(objects, str) else objects, options)
        try:
            check_library(Path(output), self.triple)
        except (OSError, TargetError) as error:
            raise TargetError(
                f"the linker {shlex.join(self.command)} does not make libraries for {self.triple}",
                hint=_install(self.triple),
            ) from error

    def run(self, output: Path, files: Iterable[str], options: Iterable[str] | None = None) -> None:
        """Make ``output`` of ``files``, whatever the flags say that it becomes.

        Raises:
            TargetError: it failed; the message carries the last line that it printed.
        """
        command = [*self.command, *self.flags, "-o", str(output), *files, *(options or ())]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            raise TargetError(
                f"the linker {shlex.join(self.command)} could not be run: {error}", hint=_install(self.triple)
            ) from error
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            if any("No space left on device" in line for line in lines):
                raise OSError(28, "No space left on device", str(output))
            raise TargetError(f"the linker {shlex.join(self.command)} failed: {lines[-1]}")

    def check(self, target: Target) -> Elf | None:
        """Link a small object that LLVM makes for ``target``, and look at what came out.

        Raises:
            TargetError: linking fails, or makes something that is no library for this triple.
        """
        from toolchain.targets.llvm import probe_object

        with scratch_folder() as folder:
            source, output = folder / "probe.o", folder / "probe.so"
            probe_object(target, source)
            self(str(output), [str(source)])
            return check_library(output, self.triple)


def find_linker(triple: str, *, environment: Mapping[str, str] | None = None) -> Linker:
    """Return the first linker for ``triple`` out of ``$CXX``, ``$CC``, a (cross) compiler or linker on the PATH, and
    ziglang.

    For another machine ``$CXX`` and ``$CC`` count only if they compile for it: its architecture, its system, and for
    32-bit Arm its way of passing floats.

    Raises:
        TargetError: there is none, or ``$CC`` names a program that does not exist.
    """
    return _first(
        _linkers(triple, os.environ if environment is None else environment),
        f"there is no linker for {triple} on this machine",
        _install(triple),
    )


def find_c_compiler(triple: str, *, environment: Mapping[str, str] | None = None) -> Linker:
    """Return the first of `find_linker`'s that compiles C too.

    Raises:
        TargetError: there is none, or ``$CC`` names a program that does not exist.
    """
    found = _linkers(triple, os.environ if environment is None else environment)
    hint = (
        _install(triple)
        if is_native(triple) or _by_zig_only(triple)
        else (f"install one with `pip install ziglang` (no root needed) or `apt install gcc-{_package(triple)}`")
    )
    return _first(
        (linker for linker in found if linker.compiles), f"there is no C compiler for {triple} on this machine", hint
    )


def _first(linkers: Iterator[Linker], message: str, hint: str) -> Linker:
    for linker in linkers:
        return linker
    raise TargetError(message, hint=hint)


def _linkers(triple: str, environment: Mapping[str, str]) -> Iterator[Linker]:
    """All that could link for ``triple``, best first."""
    path = environment.get("PATH", "")
    native = is_native(triple)
    if is_macos(triple):  # its linkers want its libraries to link with; zig brings their lists of symbols
        if importlib.util.find_spec("ziglang") is not None:
            yield Linker((*_ZIG, zig_triple(triple)), triple, "ziglang", _DYLIB)
        return
    for variable in ("CXX", "CC"):
        command = tuple(shlex.split(environment.get(variable, "")))
        if not command:
            continue
        if shutil.which(command[0], path=path) is None:
            raise TargetError(
                f"${variable} names {command[0]}, which is not on this machine", hint=f"correct or unset {variable}"
            )
        if native or made_for(command, triple):
            yield Linker(command, triple, f"${variable}", (*_DLL, *_OF_GNU) if is_windows(triple) else _COMPILER)
    names = ["cc", "gcc", "clang"] if native else [f"{gnu(triple)}-gcc", f"{gnu(triple)}-g++"]
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            own = _android(triple) if "android" in triple else ()
            flags = (*_DLL, *_OF_GNU) if is_windows(triple) else (*_COMPILER, *own)
            yield Linker((found,), triple, "PATH", flags)
    for name in () if native else (f"{gnu(triple)}-ld", "ld.lld"):
        found = shutil.which(name, path=path)
        if found:
            yield Linker((found,), triple, "PATH", _LD)
    if importlib.util.find_spec("ziglang") is not None:
        # What a library needs of libc comes from the program that loads it; zig would build one first, for a minute.
        # Divisions of 64 bits, which 32-bit Arm does by calls, need not come from there.
        bare: tuple[str, ...] = () if native or is_windows(triple) else ("-nostdlib",)
        if "android" in triple:
            bare = _android(triple)
        if architecture(triple) == "armv7a":
            bare += ("-lcompiler_rt", "-Wl,--gc-sections")
        flags = _DLL if is_windows(triple) else _COMPILER
        yield Linker((*_ZIG, zig_triple(triple)), triple, "ziglang", (*flags, *bare))


def zig_triple(triple: str) -> str:
    """Return how zig spells ``triple``."""
    return triple.replace("armv7a-", "arm-").replace("-apple-macosx", "-macos.")


def _android(triple: str) -> tuple[str, ...]:
    """Return flags for a compiler that is made for GNU/Linux: its libc is not Android's, nor are pages of 64 kB, for
    which it lays out libraries for 64-bit Arm; Android's have 4 or 16.
    """
    return ("-nostdlib", *(("-Wl,-z,max-page-size=16384",) if architecture(triple) == "aarch64" else ()))


def is_native(triple: str) -> bool:
    """Return whether ``triple`` names this machine's own architecture and system."""
    return platform.machine() in machines(triple) and platform.system().lower() in triple.split("-")


def made_for(command: tuple[str, ...], triple: str) -> bool:
    """Return whether a compiler's output is for the architecture, the system and the calls of ``triple``, by its own
    word.
    """
    try:
        done = subprocess.run([*command, "-dumpmachine"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return False
    return _kind(done.stdout.strip()) == _kind(triple)


def _kind(triple: str) -> tuple[str, str, bool]:
    """Return what libraries must have in common, however vendors spell a triple: architecture, system, and whether
    floats are passed in registers of the float unit where that is not so on all machines of its kind.
    """
    name = architecture(triple)
    name = "arm" if name.startswith(("armv7", "armv8l")) else {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)
    systems = {"mingw": "windows", "windows": "windows", "android": "android", "apple": "macos", "darwin": "macos"}
    found = next((system for word, system in systems.items() if word in triple), "linux")
    return name, found, triple.endswith("hf")


def gnu(triple: str) -> str:
    """Return how the tools of GNU that link for ``triple`` are called: as for Linux, 32-bit Arm without its version."""
    return triple.replace("armv7a-", "arm-").replace("-android", "-gnu").replace("-windows-gnu", "-w64-mingw32")


def _install(triple: str) -> str:
    if is_native(triple):
        return _INSTALL
    if _by_zig_only(triple):
        return "install one with `pip install ziglang` (no root needed)"
    return f"install one with `pip install ziglang` (no root needed) or `apt install binutils-{_package(triple)}`"


def _by_zig_only(triple: str) -> bool:
    """Return whether Debian has no tools for ``triple``."""
    return is_macos(triple) or (is_windows(triple) and architecture(triple) != "x86_64")


def _package(triple: str) -> str:
    """Return how Debian's packages of the tools for ``triple`` end."""
    return "mingw-w64-x86-64" if is_windows(triple) else gnu(triple)
