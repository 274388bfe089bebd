"""The C interface of a library: what `clipfree.h` promises, linked beside the kernels, so that programs need nothing
else.

Its sources lie in ``native``, and in `toolchain/backends/native` what the host part for OpenCL shares. They are
compiled once for each compiler and kept in the user's cache; what differs from network to network is one small file of
tables, ``network.c``, which is compiled with every library.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolchain.backends.c_sources import C_FLAGS, SHARED, c_text, put_header, quick_flags, stand_in
from toolchain.backends.cpu.needs import lacking
from toolchain.bundle import LIBRARY
from toolchain.images.geometry import Geometry
from toolchain.kernels.network import Lines
from toolchain.support.cache import cache_folder
from toolchain.support.errors import OutputError, TargetError
from toolchain.support.files import atomic_folder, scratch_folder
from toolchain.support.versions import Versions
from toolchain.targets import Target, is_windows, system
from toolchain.targets.elf import read_library
from toolchain.targets.linker import Linker, gnu, is_native
from toolchain.targets.soname import rename, roomy

_NATIVE = Path(__file__).with_name("native")
_TABLES = "network.c"
# Without the C library of this machine, whose version would be asked for where the library is loaded: it is named, by
# its name only. Nobody else's functions of the same names take the place of these.
_LINK = ("-nostdlib", "-Wl,-Bsymbolic", f"-Wl,-soname,{roomy(LIBRARY)}", "-Wl,--no-as-needed")
_SYSTEM = {"gnu": ("libc.so.6", "libm.so.6", "libpthread.so.0"), "android": ("libc.so", "libm.so")}
_MACOS = ("-Wl,-install_name,@rpath/model.dylib",)


@dataclass(frozen=True)
class About:
    """What the interface says of a network and must know of it.

    Attributes:
        name: of the network.
        target: that it is compiled for.
        geometry: of its pictures.
        called: the functions that its program calls, without those of TVM's virtual machine.
        streams: its kernels read and write pixels wherever they lie.
        lines: memory of a thread.
    """

    name: str
    target: Target
    geometry: Geometry
    called: tuple[str, ...]
    streams: bool
    lines: Lines


def link(executable: Any, output: Path, linker: Linker, about: About) -> tuple[str, ...]:
    """Link what TVM compiled, with the interface, into the library ``output``, and put the header beside it.

    Returns what the network needs that only TVM's runtime has; then the interface is there, and says so when it is
    opened.

    Args:
        executable: TVM's.
        output: the library.
        linker: that compiles C too.
        about: the network.

    Raises:
        TargetError: the compiler or the linker fails.
        OSError: the header cannot be written.
    """
    missing: tuple[str, ...] = ()
    with _compiled(linker, about.target) as parts, scratch_folder() as folder:
        own = {"Windows": (), "macOS": _MACOS}.get(system(linker.triple), _LINK)
        joined = replace(linker, flags=(*linker.flags, *_table_flags(linker), *own))
        tables = folder / _TABLES

        def run(path: str, objects: str | Sequence[str], options: Sequence[str] | None = None, **_: Any) -> None:
            made = [objects] if isinstance(objects, str) else objects
            # Linkers for Windows leave more than the library beside it.
            linked = folder / Path(path).name if is_windows(linker.triple) else Path(path)
            joined(str(linked), ["-xc", str(tables), "-xnone", *made, *parts], [*(options or ()), *linker.helpers])
            if linked != Path(path):
                shutil.copy(linked, path)

        for _ in range(2):
            tables.write_text("".join(_written(about, missing)), encoding="utf-8")
            executable.export_library(str(output), fcompile=run)
            found = lacking(read_library(output))
            if found == missing:
                break
            missing = found
    if system(linker.triple) == "Linux":  # others' are asked for by their files' names, or signed
        rename(output, LIBRARY)
    put_header(output.parent)
    return missing


def archive(executable: Any, output: Path, linker: Linker, about: About) -> None:
    """Write what `link` makes a shared library of as a static one: a single object that keeps to itself what is not for
    others.

    Args:
        executable: TVM's.
        output: the archive.
        linker: that compiles C too.
        about: the network; it needs nothing that only TVM's runtime has.

    Raises:
        TargetError: the compiler, or one of `archive_tools`, is not there or fails.
    """
    objcopy, pack = archive_tools(linker.triple)
    with _compiled(linker, about.target) as parts, scratch_folder() as folder:
        tables, joined = folder / _TABLES, folder / "model.o"
        tables.write_text("".join(_written(about, ())), encoding="utf-8")
        merge = replace(linker, flags=("-r", "-nostdlib", *_table_flags(linker)))

        def run(path: str, objects: str | Sequence[str], options: Sequence[str] | None = None, **_: Any) -> None:
            made = [objects] if isinstance(objects, str) else objects
            own = [part for part in parts if part.endswith(".o")]
            merge.run(joined, ["-xc", str(tables), "-xnone", *made, *own], options)
            for command in (
                [objcopy, "--localize-hidden", "--strip-debug", str(joined)],
                [pack, "rcsD", path, str(joined)],
            ):
                done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
                if done.returncode:
                    raise TargetError(f"{command[0]} fails: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")

        executable.export_library(str(output), fcompile=run)


def archive_tools(triple: str) -> tuple[str, str]:
    """Return what hides symbols, and what writes archives, for ``triple``: of GNU's binutils.

    Raises:
        TargetError: they are not there.
    """
    if system(triple) != "Linux":
        raise TargetError(f"there are no static libraries for {system(triple)}", hint="leave out --static")
    prefix = "" if is_native(triple) else f"{gnu(triple)}-"
    found = [shutil.which(prefix + name) for name in ("objcopy", "ar")]
    if not all(found):
        package = "binutils" if is_native(triple) else f"binutils-{gnu(triple)}"
        raise TargetError(
            f"there is no {prefix}objcopy on this machine, which static libraries are made with",
            hint=f"`apt install {package}`, or leave out --static",
        )
    return str(found[0]), str(found[1])


def _table_flags(linker: Linker) -> tuple[str, ...]:
    return (*linker.inline, *C_FLAGS[:-1], *_dll(linker), f"-I{_NATIVE}")


def _dll(linker: Linker) -> tuple[str, ...]:
    return ("-DCLIPFREE_BUILDS",) if is_windows(linker.triple) else ()


@contextmanager
def _compiled(linker: Linker, target: Target) -> Iterator[list[str]]:
    """Yield the objects that all libraries share, and stand-ins for the system's libraries; made when they are needed
    for the first time, and kept where that is possible.
    """
    quick = quick_flags(target)
    digest = hashlib.sha256(repr((linker, _stamp(linker), C_FLAGS, quick, linker.inline, _SYSTEM)).encode())
    for path in (*_sources(), *sorted(_NATIVE.glob("*.h")), *sorted(SHARED.glob("*.h"))):
        digest.update(path.read_bytes())
    folder = cache_folder() / "interface" / digest.hexdigest()[:16]
    with scratch_folder() as scratch:
        if not folder.is_dir():
            try:
                with atomic_folder(folder) as made:
                    _compile(linker, made, quick)
            except OutputError:
                _compile(linker, scratch, quick)
                folder = scratch
        yield _parts(folder)


def _parts(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.iterdir())]


def _compile(linker: Linker, folder: Path, quick: Mapping[str, Sequence[str]]) -> None:
    for path in _sources():
        one = replace(linker, flags=("-c", *linker.inline, *_dll(linker), *C_FLAGS, *quick.get(path.name, ())))
        one.run(folder / f"{path.stem}.o", [str(path)])
    if system(linker.triple) != "Linux":
        return
    for name in _SYSTEM["android" if "android" in linker.triple else "gnu"]:
        stand_in(linker, folder / name)


def _sources() -> list[Path]:
    return [*sorted(_NATIVE.glob("*.c")), *sorted(SHARED.glob("*.c"))]


def _stamp(linker: Linker) -> tuple[int, int] | None:
    """Tell a compiler from the one that was there before it was replaced."""
    found = shutil.which(linker.command[0])
    status = Path(found).stat() if found else None
    return status and (status.st_size, status.st_mtime_ns)


def _written(about: About, missing: Sequence[str]) -> Iterator[str]:
    """Yield the file of tables; `native/network.h` says what they mean."""
    geometry, lines = about.geometry, about.lines
    yield '/* Written by clipfree: what its C interface knows of a network. */\n#include "network.h"\n\n'
    yield "extern const char __tvm_ffi__library_bin[];\n"
    yield from (f"int __tvm_ffi_{name}(void*, const Any*, int32_t, Any*);\n" for name in about.called)
    yield "\nstatic const Kernel kernels[] = {\n"
    yield from (f"  {{{c_text(name)}, __tvm_ffi_{name}}},\n" for name in about.called)
    yield "  {NULL, NULL},\n};\nstatic const char* const processor[] = {"
    yield from (f"{c_text(word)}, " for word in about.target.requires)
    yield "NULL};\n\nconst Network clipfree_network = {\n"
    names = (about.name, about.target.name, Versions.installed().clipfree)
    lacks = c_text(", ".join(missing)) if missing else "NULL"
    yield f"  {', '.join(map(c_text, names))}, {lacks}, processor,\n"
    shape = (
        geometry.channels,
        geometry.scale.numerator,
        geometry.scale.denominator,
        geometry.unit,
        *geometry.smallest,
        geometry.reach,
    )
    yield f"  {{{', '.join(map(str, shape))}}},\n"
    numbers = (lines.cache, lines.few, lines.few_more, lines.most, lines.most_more, lines.scratch)
    yield f"  {int(about.streams)}, {{{', '.join(map(str, numbers))}}}, kernels, __tvm_ffi__library_bin,\n}};\n"
