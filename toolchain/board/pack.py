"""What runs on a board: a folder with the server and the two TVM libraries it needs, 6 MB, no Python."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from toolchain.support.cache import cache_folder
from toolchain.support.errors import InputError, TargetError
from toolchain.support.files import atomic_folder
from toolchain.support.versions import Versions
from toolchain.targets import architecture
from toolchain.targets.linker import gnu, is_native, made_for

SERVER = "clipfree-board"
LIBRARIES = ("libtvm_runtime.so", "libtvm_ffi.so")

_SOURCES = Path(__file__).with_name("native")
_COMPILE_LIMIT, _DOWNLOAD_LIMIT = 600, 600  # seconds; zig's first compilation builds its C++ library


def build_pack(triple: str, out: Path, libraries: Path | None = None) -> tuple[Path, ...]:
    """Write a folder that serves a board, whose libraries find each other wherever it is copied; returns its files.

    Args:
        triple: of the board.
        out: the folder; replaced if it is one of these.
        libraries: a folder with TVM's libraries for the board; None: the same that are installed here, by pip.

    Raises:
        TargetError: there is no C++ compiler for the board, or it fails.
        InputError: there are no libraries for the board.
        OutputError: the folder cannot be written.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / SERVER).exists():
        raise InputError(f"{out} holds something else than a board's server", hint="choose another place with -o")
    if libraries is None and ("android" in triple or architecture(triple) == "armv7a"):
        where = "Android" if "android" in triple else "32-bit Arm"
        raise InputError(
            f"there are no wheels of TVM for {where}",
            hint="`clipfree board pack BUNDLE` makes a folder "
            "that checks and times a bundle there without TVM; if you have built TVM for it, " + _OFFLINE,
        )
    libraries = libraries or runtime_libraries(triple)
    for name in LIBRARIES:
        if not (libraries / name).is_file():
            raise InputError(f"{libraries} holds no {name}", hint="it must hold TVM's libraries for the board")
    with atomic_folder(out) as folder:
        for name in LIBRARIES:
            shutil.copyfile(libraries / name, folder / name)
        compile_program(triple, _SOURCES / "server.cc", folder / SERVER, folder, _definitions())
    return tuple(out / name for name in (SERVER, *LIBRARIES))


def cached_pack() -> Path:
    """Return the folder for this machine, built when it is needed for the first time.

    Raises:
        TargetError, OutputError: as `build_pack`.
    """
    digest = hashlib.sha256(repr(_definitions()).encode())
    for path in sorted(_SOURCES.iterdir()):
        digest.update(path.read_bytes())
    folder = cache_folder() / "board" / digest.hexdigest()[:16]
    if not (folder / SERVER).exists():
        build_pack(f"{platform.machine()}-linux-gnu", folder)
    return folder


def compile_program(triple: str, source: Path, output: Path, libraries: Path, definitions: Sequence[str] = ()) -> None:
    """Compile a C++ program against TVM's FFI, to be run beside the libraries in ``libraries``.

    Raises:
        TargetError: there is no C++ compiler for ``triple``, or it fails.
    """
    headers = _package("tvm_ffi") / "include"
    run_compiler(
        [
            *find_compiler(triple),
            "-std=c++17",
            "-O2",
            "-s",
            *definitions,
            "-isystem",
            str(headers),
            str(source),
            "-o",
            str(output),
            "-Wl,--no-as-needed",
            *(str(libraries / name) for name in LIBRARIES),
            "-Wl,-rpath,$ORIGIN",
            "-pthread",
        ],
        source.name,
    )


def run_compiler(command: Sequence[str], name: str) -> None:
    """Compile a program called ``name``.

    Raises:
        TargetError: the compiler fails; the message carries the first error it printed.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_COMPILE_LIMIT)
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetError(f"the compiler {command[0]} could not be run: {error}") from error
    if done.returncode:
        lines = done.stderr.splitlines() or ["it said nothing"]
        first = next((line for line in lines if "error" in line), lines[-1])
        raise TargetError(f"{name} does not compile with {command[0]}: {first.strip()}")


def find_compiler(triple: str) -> tuple[str, ...]:
    """Return a C++ compiler for ``triple``: ``$CXX`` if it compiles for it, or one on the PATH, else ziglang's.

    Raises:
        TargetError: there is none.
    """
    own, android = is_native(triple), "android" in triple
    words = tuple(shlex.split(os.environ.get("CXX", "")))
    if words and shutil.which(words[0]) and (own or made_for(words, triple)):
        return words
    if android:
        raise TargetError(
            "there is no C++ compiler for Android on this machine", hint="set CXX to clang++ of Android's NDK"
        )
    for name in ["c++", "g++", "clang++"] if own else [f"{gnu(triple)}-g++"]:
        if shutil.which(name):
            return (name,)
    if importlib.util.find_spec("ziglang") is not None:
        # The oldest system that TVM's wheels run on.
        return (sys.executable, "-m", "ziglang", "c++", "-target", f"{gnu(triple)}.2.28")
    package = "g++" if own else f"g++-{gnu(triple).replace('_', '-')}"
    raise TargetError(
        f"there is no C++ compiler for {triple} on this machine",
        hint=f"install one with `pip install ziglang` or `apt install {package}`",
    )


def runtime_libraries(triple: str) -> Path:
    """Return a folder with TVM's runtime libraries for ``triple``: of the packages installed here, or downloaded by pip
    once.

    Raises:
        InputError: pip has none.
        OutputError: the cache cannot be written.
    """
    machine, versions = triple.split("-")[0], Versions.installed()
    folder = cache_folder() / "runtime" / f"{machine}-{versions.tvm}-{versions.tvm_ffi}"
    if all((folder / name).exists() for name in LIBRARIES):
        return folder
    with atomic_folder(folder) as made:
        if is_native(triple):
            for package, name in zip(("tvm", "tvm_ffi"), LIBRARIES, strict=True):
                shutil.copyfile(_package(package) / "lib" / name, made / name)
        else:
            _download(machine, versions, made)
    return folder


def _download(machine: str, versions: Versions, folder: Path) -> None:
    wanted = [f"apache-tvm=={versions.tvm}", f"apache-tvm-ffi=={versions.tvm_ffi}"]
    with tempfile.TemporaryDirectory() as wheels:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--platform",
            f"manylinux_2_28_{machine}",
            "--python-version",
            "3.11",
            "--dest",
            wheels,
            *wanted,
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise InputError("the download of TVM's libraries took too long", hint=_OFFLINE) from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            raise InputError(f"pip has no {' and '.join(wanted)} for {machine}: {said[0]}", hint=_OFFLINE)
        for wheel in Path(wheels).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if Path(name).name in LIBRARIES:
                        (folder / Path(name).name).write_bytes(archive.read(name))


_OFFLINE = "name a folder that holds " + " and ".join(LIBRARIES) + " for the board with --libraries"


def _definitions() -> tuple[str, ...]:
    versions = Versions.installed()
    return f'-DCLIPFREE_TVM="{versions.tvm}"', f'-DCLIPFREE_TVM_FFI="{versions.tvm_ffi}"'


def _package(name: str) -> Path:
    """Return the folder of an installed package, which is not imported for it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
