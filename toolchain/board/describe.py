"""What a board says of itself: versions, processor, free space, and how its last session ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.support.cores import Core
from toolchain.support.cpu import Cpu, parse_cpuinfo
from toolchain.support.errors import BoardError
from toolchain.support.serialization import from_plain, parse_json
from toolchain.support.versions import Versions

PROTOCOL = 2
"""The version of the functions that the server offers beside TVM's own."""

_LONGEST = 200  # letters of a name
_DEGREES = re.compile(r"-?[0-9]{1,9}")

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
        """Return what the server told, as JSON or read already.

        Raises:
            BoardError: it is of another version of clipfree, or nonsense.
        """
        try:
            table = parse_json(told) if isinstance(told, str) else told
            protocol = table.get("protocol") if isinstance(table, Mapping) else None
            if type(protocol) is int and protocol != PROTOCOL:
                raise BoardError(f"the board's server speaks version {protocol}, here is {PROTOCOL}", hint=_AGAIN)
            return _description(from_plain(_Told, table))
        except (ValueError, TypeError) as error:
            raise BoardError("the board describes itself in a way that is not understood", hint=_AGAIN) from error

    def check_versions(self, installed: Versions) -> None:
        """See whether the board's TVM is the one that is used here.

        Raises:
            BoardError: it is another.
        """
        for package, there, here in (
            ("apache-tvm", self.versions.tvm, installed.tvm),
            ("apache-tvm-ffi", self.versions.tvm_ffi, installed.tvm_ffi),
        ):
            if there != here:
                raise BoardError(f"the board has {package} {there}, here is {here}", hint=_AGAIN)


_AGAIN = "make the board's server again with `clipfree board build`"


@dataclass(frozen=True)
class _Told:
    """The words in which the server tells it: see ``native/device.h``."""

    protocol: int
    tvm: str
    tvm_ffi: str
    machine: str
    model: str
    cpuinfo: str
    cores: tuple[tuple[int, int], ...]
    free_bytes: int
    millicelsius: str
    previous: str
    hwcap: str = ""
    hwcap2: str = ""


def _description(told: _Told) -> Description:
    name, features = parse_cpuinfo(told.cpuinfo)
    for text in (told.tvm, told.tvm_ffi, told.machine, told.model, told.previous, name, *features):
        if not text.isprintable() or len(text) > _LONGEST:
            raise ValueError(f"no name: {text!r:.80}")
    if told.hwcap:
        features = _names(int(told.hwcap), _HWCAP) | _names(int(told.hwcap2), _HWCAP2)
    if not told.cores or not all(0 <= number < 2**63 for number in (told.free_bytes, *sum(told.cores, ()))):
        raise ValueError("a number that cannot be true")
    degrees = told.millicelsius
    return Description(
        Cpu(told.model or name or told.machine, told.machine, features, len(told.cores)),
        tuple(Core(number, speed) for number, speed in told.cores),
        Versions("", told.tvm, told.tvm_ffi),
        told.free_bytes,
        int(degrees) / 1000 if _DEGREES.fullmatch(degrees) else None,
        told.previous,
    )


def _names(bits: int, names: str) -> frozenset[str]:
    return frozenset(name for index, name in enumerate(names.split()) if bits >> index & 1)
