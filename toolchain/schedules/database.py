"""Tuning logs: one file of JSON lines for each target and TVM version, only ever appended to while tuning.

A line is a record. It is written by one call and flushed to the disk, so that of a process killed at any moment no more
is lost than the line it was writing; that torn line is cut off when the log is opened the next time. A lock on the
log's folder makes a second process wait for the first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.schedules.records import Best, LogHeader, Record, decode, encode
from toolchain.support.errors import OutputError, TuningError
from toolchain.support.files import atomic_write
from toolchain.support.locks import locked
from toolchain.support.resources import shipped
from toolchain.targets import Target

SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Log:
    """A log that was read.

    Attributes:
        path: the file.
        header: its first line.
        records: the others, in order.
        torn: bytes of an unfinished last line, which were left out.
    """

    path: Path
    header: LogHeader
    records: tuple[Record, ...]
    torn: int = 0

    def best(self) -> tuple[Best, ...]:
        """Return the last best tile of each task, in the order of their first appearance."""
        return tuple({record.task: record for record in self.records if isinstance(record, Best)}.values())


def log_folder() -> Path:
    """Return where the logs lie that come with the package."""
    return shipped("tuning_logs")


def log_path(folder: Path, header: LogHeader) -> Path:
    """Return the log of ``header`` among the logs of ``folder``."""
    return folder / header.target / f"tvm-{header.tvm}{SUFFIX}"


def find_log(folder: Path, target: Target) -> Log | None:
    """Return the log for ``target`` and the installed TVM; None if there is none.

    Raises:
        TuningError: it is damaged, or of another target or version than its name says.
    """
    header = LogHeader.of(target)
    path = log_path(folder, header)
    return expect(read_log(path), header) if path.is_file() else None


def need_log(folder: Path, target: Target) -> Log:
    """Return the log for ``target`` and the installed TVM.

    Raises:
        TuningError: there is none, or it is damaged, or for something else.
    """
    log = find_log(folder, target)
    if log is None:
        path = log_path(folder, LogHeader.of(target))
        there = ", ".join(sorted(other.stem for other in path.parent.glob(f"*{SUFFIX}")))
        raise TuningError(
            f"there is no tuning log {path}" + (f", only for {there}" if there else ""),
            hint="`clipfree tune` makes one",
        )
    return log


def read_log(path: Path) -> Log:
    """Read a log; a last line without its end is left out.

    Raises:
        TuningError: it cannot be read, it is damaged, or it is no tuning log.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TuningError(f"the tuning log {path} cannot be read: {error.strerror or error}") from error
    *lines, torn = content.split(b"\n")
    header: LogHeader | None = None
    records: list[Record] = []
    for number, line in enumerate(lines, 1):
        try:
            record = decode(line)
            if isinstance(record, LogHeader) != (number == 1):
                raise ValueError("a header must be the first line, and no other")
        except (TypeError, ValueError, RecursionError) as error:
            raise TuningError(
                f"line {number} of the tuning log {path} cannot be used: {error}", hint="remove that line, or the log"
            ) from error
        if isinstance(record, LogHeader):
            header = record
        else:
            records.append(record)
    if header is None:
        raise TuningError(f"{path} is not a tuning log: its first line is missing", hint="remove it")
    return Log(path, header, tuple(records), len(torn))


def expect(log: Log, header: LogHeader) -> Log:
    """``log``, if it is for ``header``.

    Raises:
        TuningError: it is for another target or version.
    """
    differences = log.header.differences(header)
    if differences:
        raise TuningError(
            f"the tuning log {log.path} is for something else: {differences}",
            hint="times and tiles do not carry over: tune again",
        )
    return log


def write_log(path: Path, header: LogHeader, records: Iterable[Record]) -> None:
    """Write a whole log, or nothing.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_write(path) as file:
        file.writelines(encode(line) for line in (header, *records))


def merge(logs: Sequence[Log]) -> tuple[Record, ...]:
    """Return the records of several logs of one header. Equal lines are kept once; of several best tiles of a task the
    one that gained most over the default.

    Raises:
        TuningError: the logs are for different targets or versions; or there is none.
    """
    if not logs:
        raise TuningError("there is no tuning log to merge")
    for log in logs[1:]:
        expect(log, logs[0].header)
    best: dict[object, Best] = {}
    for log in logs:
        for record in log.best():
            if record.task not in best or record.relative < best[record.task].relative:
                best[record.task] = record
    others = dict.fromkeys(record for log in logs for record in log.records if not isinstance(record, Best))
    return (*others, *best.values())


class LogWriter:
    """A log that is open for appending.

    Attributes:
        log: what it held when it was opened.
        cut: bytes of a torn last line that were removed.
    """

    def __init__(self, file: int, log: Log) -> None:
        self._file, self.log, self.cut = file, log, log.torn

    def append(self, record: Record) -> None:
        """Write a record, down to the disk.

        Raises:
            OutputError: the disk is full.
        """
        _append(self._file, self.log.path, encode(record))


@contextlib.contextmanager
def open_log(
    folder: Path, header: LogHeader, waiting: Callable[[str], None] = lambda text: None
) -> Iterator[LogWriter]:
    """Open the log of ``header`` in ``folder`` for appending, making it if it is not there, for this process alone.

    Args:
        folder: of the logs.
        header: for what.
        waiting: is told once if another process has the log, which is then waited for.

    Raises:
        TuningError: the log is damaged, or for something else.
        OutputError: it cannot be written.
    """
    path = log_path(folder, header)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with locked(path.parent, lambda: waiting(f"another process tunes into {path.parent}: waiting for it to end")):
            yield _opened(file, path, header)
    finally:
        os.close(file)


def _opened(file: int, path: Path, header: LogHeader) -> LogWriter:
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if not whole:  # new, or killed while its header was written
        os.ftruncate(file, 0)
        _append(file, path, encode(header))
    log = expect(read_log(path), header)
    if log.torn:
        os.ftruncate(file, len(whole))
    return LogWriter(file, log)


def _append(file: int, path: Path, line: bytes) -> None:
    try:
        while line:
            line = line[os.write(file, line) :]
        os.fsync(file)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write the tuning log {path}: {error.strerror or error}", hint="choose another folder with --logs"
    )
