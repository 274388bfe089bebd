"""Targets: one TOML file per device family, read, checked, and chosen by name or by this machine's CPU."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from toolchain.support.cpu import Cpu, this_cpu
from toolchain.support.errors import TargetError
from toolchain.support.resources import shipped
from toolchain.support.serialization import Between, Text, from_plain
from toolchain.targets.devices import DEVICES
from toolchain.targets.gpu import Gpu

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ARCHITECTURES = ("x86_64", "aarch64", "armv7a")
HOST = "host"
CACHE = 1024 * 1024
"""Bytes of line buffers that a thread aims at, where a target does not say: a level 2 cache. Smaller bands lose more to
the rows that are kept between them than they gain on x86, see docs/decisions/0009-streaming.md."""
_LARGEST_FILE = 2**16
_SUFFIX = ".toml"
_HOST_ORDER = (
    "x86-avx512vnni",
    "x86-cascadelake",
    "x86-avxvnni",
    "x86-avx2",
    "x86-sse4",
    "neoverse-n2",
    "neoverse-v1",
    "cortex-a76",
    "cortex-a72",
    "aarch64",
)  # best first


@dataclass(frozen=True)
class Target:
    """What to compile for.

    Attributes:
        name: the file's name without ``.toml``; what the user types.
        description: one line for people.
        triple: LLVM triple, such as ``x86_64-linux-gnu``; floats are passed in float registers if it ends in ``hf``.
        cpu: LLVM's name of the CPU.
        attributes: LLVM attributes beyond the CPU's own, such as ``+dotprod``.
        instruction_set: which kernels are used: a name in `toolchain.kernels.intrinsics.REGISTRY`.
        requires: CPU features, spelled as in /proc/cpuinfo, without which a bundle refuses to load. To those of a file
            that the user names, what LLVM enables is added.
        cores: threads the schedule is made for.
        gpu: the OpenCL device that runs the network, with kernels in OpenCL C; the other attributes then describe the
            CPU beside it. None: the CPU runs the network.
        cache: bytes of line buffers that a thread aims at: what a core has of the last cache near it.
    """

    name: str
    description: Text
    triple: Text
    cpu: Text
    attributes: tuple[Text, ...]
    instruction_set: Text
    requires: tuple[Text, ...]
    cores: Annotated[int, Between(1, 1024)]
    gpu: Gpu | None = None
    cache: Annotated[int, Between(1, 2**32)] = CACHE

    @property
    def backend(self) -> str:
        """Name of what compiles for it, in `toolchain.backends.BACKENDS`."""
        return "cpu" if self.gpu is None else "opencl"

    def missing_on(self, cpu: Cpu) -> tuple[str, ...]:
        """Return the required features that ``cpu`` lacks; empty when code for this target runs there."""
        return tuple(feature for feature in self.requires if feature not in cpu.features)


def architecture(triple: str) -> str:
    """Return the first part of an LLVM triple: "x86_64", "aarch64", "armv7a"."""
    return triple.split("-")[0]


def is_windows(triple: str) -> bool:
    """Return whether a triple names Windows."""
    return "windows" in triple.split("-")


def is_macos(triple: str) -> bool:
    """Return whether a triple names macOS."""
    return "apple" in triple.split("-")


def system(triple: str) -> str:
    """Return a triple's system as people call it."""
    return "Windows" if is_windows(triple) else "macOS" if is_macos(triple) else "Linux"


def machines(triple: str) -> tuple[str, ...]:
    """Return what ``uname -m`` may say on a device that runs code for ``triple``."""
    return ("armv7l", "armv8l") if architecture(triple) == "armv7a" else (architecture(triple),)


def target_folder() -> Path:
    """Return where the TOML files lie."""
    return shipped("targets")


def list_targets(folder: Path | None = None) -> tuple[Target, ...]:
    """Return every target, sorted by name.

    Raises:
        TargetError: a TOML file is broken.
    """
    paths = sorted((folder or target_folder()).glob(f"*{_SUFFIX}"))
    return tuple(_read(path) for path in paths)


def find_target(name: str, *, folder: Path | None = None, cpu: Cpu | None = None) -> Target:
    """Return the target called ``name``, that of the device called so, or described by the TOML file ``name``; ``host``
    is the best one that ``cpu`` (default: this machine's) can run.

    Raises:
        TargetError: no such target, its file is broken or asks for what LLVM does not know, or no target fits this CPU.
    """
    folder = folder or target_folder()
    if name.endswith(_SUFFIX):
        from toolchain.targets.llvm import check_target, required

        target = _read(Path(name))
        check_target(target)
        return target if target.gpu is not None else dataclasses.replace(target, requires=required(target))
    if name == HOST:
        return _host(folder, cpu or this_cpu())
    names = [path.stem for path in folder.glob(f"*{_SUFFIX}")]
    if name not in names:
        name = DEVICES.get(name, name)
    if name not in names:
        from toolchain.targets.nearest import advise

        raise TargetError(f"there is no target called {name!r}", hint=advise(name, list_targets(folder)))
    return _read(folder / f"{name}{_SUFFIX}")


def best_target(cpu: Cpu) -> str | None:
    """Name of the best target that ``cpu`` can run; None where there is none."""
    try:
        return find_target(HOST, cpu=cpu).name
    except TargetError:
        return None


def _host(folder: Path, cpu: Cpu) -> Target:
    for name in _HOST_ORDER:
        path = folder / f"{name}{_SUFFIX}"
        if path.is_file():
            target = _read(path)
            if cpu.machine in machines(target.triple) and not target.missing_on(cpu):
                return dataclasses.replace(target, cores=cpu.cores)
    raise TargetError(
        f"no target fits this machine's CPU ({cpu.machine}, {cpu.name})",
        hint="name a target to compile for another machine; `clipfree targets list` shows them",
    )


def _read(path: Path) -> Target:
    try:
        if not path.is_file():
            what = "is no plain file" if path.exists() else "is not there"
            raise TargetError(f"target file {path} cannot be read: it {what}")
        if path.stat().st_size > _LARGEST_FILE:
            raise TargetError(f"target file {path} cannot be read: it is too large to be one")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(f"target file {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise TargetError(f"target file {path} cannot be read: it is no UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # integers of thousands of digits, and what is no TOML
        raise TargetError(f"target file {path} cannot be read: {error}") from error
    try:
        return from_plain(Target, {"requires": [], **table, "name": path.stem})
    except (TypeError, ValueError) as error:
        raise TargetError(
            f"target file {path} cannot be used: {error}",
            hint="targets/mali-g78.toml and targets/cortex-a76.toml show all that one holds",
        ) from error
