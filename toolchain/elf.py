"""What a shared library says of itself: the first bytes of an ELF file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import TargetError
from toolchain.targets import architecture

_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
_EXPECTED = {"x86_64": ("x86_64", 64), "aarch64": ("aarch64", 64), "armv7a": ("arm", 32)}  # of all ARCHITECTURES
_SHARED = 3
_HARD_FLOAT, _SOFT_FLOAT = 0x400, 0x200


@dataclass(frozen=True)
class Elf:
    """The header of an ELF file.

    Attributes:
        machine: the architecture ("x86_64", "aarch64", "arm"), or the ELF number of one that is not known here.
        bits: 32 or 64.
        shared: whether it is a shared library.
        float_abi: how 32-bit Arm passes floats: "hard", "soft", or "" where nothing is said.
    """

    machine: str
    bits: int
    shared: bool
    float_abi: str

    def __str__(self) -> str:
        kind = "shared library" if self.shared else "no shared library"
        floats = f", {self.float_abi} float" if self.float_abi else ""
        return f"ELF {self.bits}-bit {self.machine} {kind}{floats}"


def read_elf(path: Path) -> Elf | None:
    """The header of ``path``; None if it is no little-endian ELF file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if len(head) < 52 or head[:4] != b"\x7fELF" or head[4] not in (1, 2) or head[5] != 1:
        return None
    bits = 32 * head[4]
    kind, machine = struct.unpack_from("<HH", head, 16)
    (flags,) = struct.unpack_from("<I", head, 36 if bits == 32 else 48)
    name = _MACHINES.get(machine, str(machine))
    floats = ("hard" if flags & _HARD_FLOAT else "soft" if flags & _SOFT_FLOAT else "") if name == "arm" else ""
    return Elf(name, bits, kind == _SHARED, floats)


def check_library(path: Path, triple: str) -> Elf:
    """Demand that ``path`` is a shared library that a process of ``triple`` can load.

    Raises:
        TargetError: it is something else, in one sentence.
    """
    found = read_elf(path)
    machine, bits = _EXPECTED[architecture(triple)]
    if found is None or not found.shared:
        raise TargetError(f"{path} is not a shared library (ELF)")
    if (found.machine, found.bits) != (machine, bits):
        raise TargetError(f"{path} is a library for {found.machine}, {found.bits} bits, not for {triple}")
    if triple.endswith("hf") and found.float_abi == "soft":
        raise TargetError(f"{path} passes floats in integer registers, {triple} in those of the float unit")
    return found
