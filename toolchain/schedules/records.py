"""What a tuning log holds: a header that says where its times are valid, trials, and the best tile of each task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.tile import Tile
from toolchain.schedules.task import Task
from toolchain.support.serialization import from_plain, parse_json, to_plain
from toolchain.support.versions import Versions
from toolchain.targets import Target

FORMAT = "clipfree-tuning"
FORMAT_VERSION = 1

STATIC = "llvm-mca"
"""How the processor's name begins where a tile was not timed but chosen by LLVM's cost model, see benchmarks."""

Candidate: TypeAlias = Tile | LaunchConfig
"""What is tried of a kernel: on a CPU a tile, on an OpenCL device a cut. Both are called tile in logs."""

Status = Literal["ok", "failed", "wrong", "crashed", "hung"]
"""Of a tile: right, not compiled, another result than the reference, or it took its process with it."""


@dataclass(frozen=True)
class LogHeader:
    """For what compiled code a log is: the target as far as it changes that code, and the compiler.

    Attributes:
        target: name.
        triple, cpu, attributes, instruction_set: of the target.
        tvm: version of the compiler.
    """

    target: str
    triple: str
    cpu: str
    attributes: tuple[str, ...]
    instruction_set: str
    tvm: str

    @staticmethod
    def of(target: Target) -> LogHeader:
        """For ``target`` and the installed compiler."""
        return LogHeader(
            target.name, target.triple, target.cpu, target.attributes, target.instruction_set, Versions.installed().tvm
        )

    def differences(self, other: LogHeader) -> str:
        """Return where the two differ, in words; empty if nowhere."""
        names = ("target", "triple", "cpu", "attributes", "instruction_set", "tvm")
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return ", ".join(
            f"{name} {_words(mine)} instead of {_words(theirs)}" for name, mine, theirs in pairs if mine != theirs
        )


@dataclass(frozen=True)
class Trial:
    """A tile that was tried.

    Attributes:
        task, tile: what.
        cpu: on which processor.
        status: what became of it.
        seconds: of one call; 0 unless "ok".
        relative: its time over the default tile's; 0 unless "ok". Times of other hours do not compare; this does.
        note: what happened, if it is not "ok".
    """

    task: Task
    tile: Candidate
    cpu: str
    status: Status = "ok"
    seconds: float = 0.0
    relative: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError where the figures do not fit the status."""
        if (self.status == "ok") != (self.seconds > 0 and self.relative > 0):
            raise ValueError(f"a trial with the status {self.status!r} cannot have taken {self.seconds} s")


@dataclass(frozen=True)
class Best:
    """The tile to build a task's kernel with; a later record replaces an earlier one.

    Attributes:
        task, tile, cpu, seconds, relative: as in `Trial`, from a measurement in turn with the default tile and others.
        trials: how many tiles were tried until then.
    """

    task: Task
    tile: Candidate
    cpu: str
    seconds: float
    relative: float
    trials: int

    @property
    def measured(self) -> bool:
        """Whether it was timed, not only estimated."""
        return not self.cpu.startswith(STATIC)

    def __post_init__(self) -> None:
        """Raise ValueError where the figures cannot be true."""
        if self.seconds <= 0 or self.relative <= 0:
            raise ValueError(f"the best tile cannot have taken {self.seconds} s, {self.relative} of the default's")


Record = Trial | Best


def encode(record: LogHeader | Record) -> bytes:
    """Return a line of a log, newline included; the same bytes for the same record."""
    kind = {LogHeader: "header", Trial: "trial", Best: "best"}[type(record)]
    marks = {"format": FORMAT, "format_version": FORMAT_VERSION} if kind == "header" else {}
    table = {"kind": kind, **marks, **to_plain(record)}
    return (json.dumps(table, allow_nan=False, separators=(",", ":")) + "\n").encode()


def decode(line: bytes) -> LogHeader | Record:
    """Return the record of a line.

    Raises:
        TypeError, ValueError: the line is damaged, or of another program or format.
    """
    try:
        table: Any = parse_json(line)
    except ValueError as error:
        raise ValueError(f"it {error}") from error
    if not isinstance(table, dict):
        raise TypeError("it is not a table")
    kind = table.pop("kind", None)
    if kind == "header":
        if table.pop("format", None) != FORMAT:
            raise ValueError("it is the log of another program")
        version = table.pop("format_version", None)
        if version != FORMAT_VERSION:
            raise ValueError(f"its format is {version}, and {FORMAT_VERSION} is read here")
        header = from_plain(LogHeader, table)
        for name in (header.target, header.tvm):
            _check_name(name)
        return header
    if kind == "trial":
        return from_plain(Trial, table)
    if kind == "best":
        return from_plain(Best, table)
    raise ValueError(f"a record of the unknown kind {kind!r}")


def _check_name(name: str) -> None:
    """Check a name: logs lie in folders and files of these names.

    Raises:
        ValueError: it leads elsewhere, or no file can be called so.
    """
    if name in ("", ".", "..") or {"/", "\\", "\0"} & set(name):
        raise ValueError(f"no file can be called {name[:80]!r}")
    name.encode()


def _words(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else " ".join(value) or "none"
