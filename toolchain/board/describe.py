"""What a board says of itself: versions, processor, free space, and how its last session ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.bundle import Versions
from toolchain.cores import Core
from toolchain.cpu import Cpu, parse_cpuinfo
from toolchain.errors import BoardError

PROTOCOL = 2
"""Of the functions that the server offers beside TVM's own."""

# The bits of AT_HWCAP and AT_HWCAP2 of 64-bit Arm, lowest first, as Linux spells them in /proc/cpuinfo.
_HWCAP = """
fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 sm3 sm4
asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg
"""
_HWCAP2 = """
dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm svebf16 i8mm bf16 dgh rng
bti mte ecv afp rpres mte3 sme
"""


@dataclass(frozen=True)
class Description:
    """A board.

    Attributes:
        cpu: its processor, named after the board where the board has a name.
        cores: that its server may use.
        versions: of the TVM libraries beside its server.
        free: bytes that uploads may take.
        celsius: temperature; None where it is not told.
        previous: how the session before this one ended, such as "Illegal instruction"; empty if well.
    """

    cpu: Cpu
    cores: tuple[Core, ...]
    versions: Versions
    free: int
    celsius: float | None
    previous: str

    @staticmethod
    def parse(told: Mapping[str, Any] | str) -> Description:
        """What the server told, as JSON or read already.

        Raises:
            BoardError: it is of another version of clipfree, or nonsense.
        """
        try:
            table = json.loads(told) if isinstance(told, str) else told
            protocol = table["protocol"]
            if protocol != PROTOCOL:
                raise BoardError(f"the board's server speaks version {protocol}, here is {PROTOCOL}", hint=_AGAIN)
            return _description(table)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BoardError("the board describes itself in a way that is not understood", hint=_AGAIN) from error

    def check_versions(self, installed: Versions) -> None:
        """See whether the board's TVM is the one that is used here.

        Raises:
            BoardError: it is another.
        """
        for package, there, here in (("apache-tvm", self.versions.tvm, installed.tvm),
                                     ("apache-tvm-ffi", self.versions.tvm_ffi, installed.tvm_ffi)):  # fmt: skip
            if there != here:
                raise BoardError(f"the board has {package} {there}, here is {here}", hint=_AGAIN)


_AGAIN = "make the board's server again with `clipfree board build`"


def _description(table: Mapping[str, Any]) -> Description:
    name, features = parse_cpuinfo(table["cpuinfo"])
    machine, degrees = str(table["machine"]), str(table["millicelsius"])
    if "hwcap" in table:
        features = _names(int(table["hwcap"]), _HWCAP) | _names(int(table["hwcap2"]), _HWCAP2)
    cores = tuple(Core(int(number), int(speed)) for number, speed in table["cores"])
    return Description(
        Cpu(str(table["model"]) or name or machine, machine, features, len(cores)),
        cores,
        Versions("", str(table["tvm"]), str(table["tvm_ffi"])),
        int(table["free_bytes"]),
        int(degrees) / 1000 if degrees.lstrip("-").isdigit() else None,
        str(table["previous"]),
    )


def _names(bits: int, names: str) -> frozenset[str]:
    return frozenset(name for index, name in enumerate(names.split()) if bits >> index & 1)
