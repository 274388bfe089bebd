"""Finding something that turns object files into a shared library: a C compiler, or zig from a pip package."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.errors import TargetError

# No build id and no symbol table: the same objects give the same bytes, whatever the temporary files were called.
_FLAGS = ("-shared", "-fPIC", "-Wl,--build-id=none", "-s")
_ELF_MACHINES = {"x86_64": 62, "aarch64": 183, "armv7a": 40}
_INSTALL = "install one with `pip install ziglang` (no root needed) or `apt install gcc`"


@dataclass(frozen=True)
class Linker:
    """A command that links shared libraries for one triple; callable as TVM's ``fcompile``.

    Attributes:
        command: the program and the arguments that come before all others.
        triple: what it links for.
        source: where it was found, for people ("$CC", "PATH", "ziglang").
    """

    command: tuple[str, ...]
    triple: str
    source: str

    def __call__(
        self, output: str, objects: str | Iterable[str], options: Iterable[str] | None = None, **_: Any
    ) -> None:
        """Link ``objects`` into the shared library ``output``.

        Raises:
            TargetError: the linker failed; the message carries the last line it printed.
        """
        files = [objects] if isinstance(objects, str) else list(objects)
        command = [*self.command, *_FLAGS, "-o", output, *files, *(options or ())]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        except (OSError, subprocess.SubprocessError) as error:
            raise TargetError(
                f"the linker {shlex.join(self.command)} could not be run: {error}", hint=_INSTALL
            ) from error
        if done.returncode:
            lines = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
            if any("No space left on device" in line for line in lines):
                raise OSError(28, "No space left on device", output)
            raise TargetError(f"the linker {shlex.join(self.command)} failed: {lines[-1]}")

    def check(self) -> None:
        """Link a one-line C file and look at the ELF machine of what came out.

        Raises:
            TargetError: linking fails, or makes something that is no library for this triple.
        """
        with tempfile.TemporaryDirectory() as folder:
            source, output = Path(folder, "probe.c"), Path(folder, "probe.so")
            source.write_text("int clipfree_probe(void) { return 42; }\n")
            self(str(output), [str(source)])
            header = output.read_bytes()[:20]
        wanted = _ELF_MACHINES.get(self.triple.split("-")[0])
        machine = int.from_bytes(header[18:20], "little")
        if header[:4] != b"\x7fELF" or (wanted is not None and machine != wanted):
            raise TargetError(
                f"the linker {shlex.join(self.command)} does not make libraries for {self.triple}", hint=_INSTALL
            )


def find_linker(triple: str, *, environment: Mapping[str, str] | None = None) -> Linker:
    """The first linker for ``triple`` out of ``$CXX``, ``$CC``, a (cross) compiler on the PATH, and ziglang.

    Raises:
        TargetError: there is none, or ``$CC`` names a program that does not exist.
    """
    environment = os.environ if environment is None else environment
    path = environment.get("PATH", "")
    for variable in ("CXX", "CC"):
        command = shlex.split(environment.get(variable, ""))
        if command:
            if shutil.which(command[0], path=path) is None:
                raise TargetError(
                    f"${variable} names {command[0]}, which is not on this machine", hint=f"correct or unset {variable}"
                )
            return Linker(tuple(command), triple, f"${variable}")
    names = ["cc", "gcc", "clang"] if is_native(triple) else [f"{triple}-gcc", f"{triple}-g++"]
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Linker((found,), triple, "PATH")
    if importlib.util.find_spec("ziglang") is not None:
        return Linker((sys.executable, "-m", "ziglang", "cc", "-target", triple), triple, "ziglang")
    hint = (
        _INSTALL
        if is_native(triple)
        else f"install one with `pip install ziglang` or `apt install gcc-{triple.replace('_', '-')}`"
    )
    raise TargetError(f"there is no linker for {triple} on this machine", hint=hint)


def is_native(triple: str) -> bool:
    """Whether ``triple`` names this machine's own architecture and system."""
    parts = triple.split("-")
    return parts[0] == platform.machine() and platform.system().lower() in parts
