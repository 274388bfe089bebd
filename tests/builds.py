"""What TVM compiles in tests is kept on disk: machine code of the same content is made once, for all runs.

What is compiled is known by everything that its code can depend on: the module as our own passes have left it, the
target, what else TVM's compiler is told, its version, and the linker. So a change of a kernel, a pass or a tile is a
change of the name, and nothing that is kept can be out of date; what nobody asked for in a month is removed.

Tests that look at machine code, or link in another way, have it made anew.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import tvm
from tvm import relax
from tvm.runtime import Executable

from toolchain.support.errors import TargetError
from toolchain.support.versions import Versions
from toolchain.targets.linker import Linker, find_linker

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clipfree-tests"
"""Where libraries are kept: outside of every checkout."""
MONTH = 30 * 24 * 3600.0


class Kept(Executable):
    """An executable of TVM whose library is taken from `FOLDER`, or put there.

    Args:
        key: names all that it is made of but the linker.
        triple: what it is for.
        build: makes it.
    """

    def __init__(self, key: str, triple: str, build: Callable[[], Executable]) -> None:
        self._key, self._triple, self._build = key, triple, build

    @functools.cached_property
    def made(self) -> Executable:
        """What TVM makes, now."""
        return self._build()

    @property
    def mod(self) -> Any:
        return self.made.mod

    def jit(self, **options: Any) -> Any:
        try:
            linker = find_linker(self._triple)
        except TargetError:
            return self.made.jit(**options)
        return self.made.jit(**options) if options else loaded(self._library(linker))

    def export_library(self, file_name: str, *, fcompile: Any = None, **options: Any) -> Any:
        if options or fcompile is None:
            return self.made.export_library(file_name, fcompile=fcompile, **options)
        if isinstance(fcompile, Linker):
            return shutil.copy(self._library(fcompile), file_name)
        return fcompile(file_name, [str(path) for path in sorted(self._objects().iterdir())])

    def _objects(self) -> Path:
        """The folder of what is linked, for those who link it with more."""
        path = FOLDER / digest(self._key, "objects")
        if path.is_dir():
            os.utime(path)
            return path
        FOLDER.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=FOLDER))

        def keep(_: str, objects: list[str]) -> None:
            for number, name in enumerate(objects):
                shutil.copy(name, scratch / f"{number}.o")

        self.made.export_library(str(scratch / "library.so"), fcompile=keep)
        with contextlib.suppress(OSError):  # another process was faster
            scratch.rename(path)
        return path

    def _library(self, linker: Linker) -> Path:
        path = FOLDER / f"{digest(self._key, f'{linker.command} {linker.flags}', identity(linker.command[0]))}.so"
        if path.is_file():
            os.utime(path)
            return path
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            fresh = Path(scratch, "library.so")
            self.made.export_library(str(fresh), fcompile=linker)
            fresh.replace(path)
        return path


@functools.cache  # a library that is loaded twice shares its state, which is that of the later one
def loaded(path: Path) -> Any:
    """The module in a library."""
    return tvm.runtime.load_module(str(path))


def identity(program: str) -> str:
    """What changes with a program on the PATH."""
    found = os.stat(shutil.which(program) or program)
    return f"{found.st_size} {found.st_mtime_ns}"


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def content(module: Any) -> str:
    """A module as text, constants included."""
    functions = sorted(module.functions_items(), key=lambda item: str(item[0].name_hint))
    parts = [f"{name.name_hint} {tvm.ir.save_json(function)}" for name, function in functions]
    attributes = tvm.ir.save_json(module.attrs) if module.attrs else ""
    return digest(attributes, *parts)


def told() -> str:
    """What TVM is told beside its arguments."""
    context = tvm.transform.PassContext.current()
    versions = Versions.installed()
    parts = (context.opt_level, context.required_pass, context.disabled_pass, sorted(context.config.items()))
    return f"{parts} {versions.tvm} {versions.tvm_ffi} {platform.machine()}"


@contextmanager
def kept_builds() -> Iterator[None]:
    """Within the block, ``tvm.compile`` and ``relax.build`` keep what they make, where there is a place for it."""
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
    except OSError:
        yield
        return
    make, make_network = tvm.compile, relax.build

    def compiled(module: Any, target: Any = None, **options: Any) -> Executable:
        if any(isinstance(function, relax.Function) for _, function in module.functions_items()):
            return built(module, target, **options)
        if options:
            return make(module, target, **options)
        return kept(module, target, "", lambda: make(module, target))

    def built(module: Any, target: Any = None, *, relax_pipeline: Any = "default", **options: Any) -> Executable:
        if options or isinstance(relax_pipeline, str):
            return kept(
                module,
                target,
                f"{relax_pipeline} {sorted(options.items())}",
                lambda: make_network(module, target, relax_pipeline=relax_pipeline, **options),
            )
        with tvm.target.Target(target):
            finished = relax_pipeline(module)
        return kept(finished, target, "", lambda: make_network(finished, target, relax_pipeline=None))

    def kept(module: Any, target: Any, options: str, build: Callable[[], Executable]) -> Kept:
        target = tvm.target.Target(target)
        triple = target.attrs.get("mtriple") or f"{platform.machine()}-linux-gnu"
        return Kept(digest(content(module), str(target), options, told()), str(triple), build)

    clean()
    with mock.patch.object(tvm, "compile", compiled), mock.patch.object(relax, "build", built):
        yield


def kept_folder(compiler: str, *sources: Path) -> Path:
    """A folder for what ``compiler`` makes of the files below ``sources``, which may be there already."""
    files = sorted(path for source in sources for path in source.rglob("*") if path.suffix != ".pyc" and path.is_file())
    parts = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    folder = FOLDER / digest(told(), identity(compiler), *parts)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    return folder


def clean() -> None:
    """Remove what nobody has asked for in a month."""
    for path in FOLDER.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if path.stat().st_mtime < time.time() - MONTH:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
