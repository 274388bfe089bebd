"""What one does with whole logs: find them, check them, bring several together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolchain.schedules.database import SUFFIX, Log, log_path, merge, read_log, write_log
from toolchain.schedules.records import Best, LogHeader
from toolchain.support.errors import TargetError, TuningError
from toolchain.targets import find_target


@dataclass(frozen=True)
class Checked:
    """A log that was looked at.

    Attributes:
        path: the file.
        target, tvm: of its header, empty if it has none that can be read.
        trials, tasks: how many trials it holds, and for how many tasks it has a best tile.
        torn: bytes of an unfinished last line; the next `tune` removes them.
        obstacle: why a build or `tune` would refuse it or pass it over; empty if none would.
        damaged: the obstacle is the log's own, not that another target or version is installed here.
    """

    path: Path
    target: str = ""
    tvm: str = ""
    trials: int = 0
    tasks: int = 0
    torn: int = 0
    obstacle: str = ""
    damaged: bool = False


def find_logs(places: Iterable[Path]) -> tuple[Path, ...]:
    """Return the logs in some places, each a log or a folder of logs, sorted within a place.

    Raises:
        TuningError: there is no such file or folder.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted(place.rglob(f"*{SUFFIX}"))
        elif place.is_file():
            found.append(place)
        else:
            raise TuningError(f"there is no tuning log {place}")
    return tuple(found)


def check(path: Path) -> Checked:
    """Return look at the log ``path``; every mistake is part of the answer."""
    try:
        log = read_log(path)
    except TuningError as error:
        return Checked(path, obstacle=error.message, damaged=True)
    header, best = log.header, log.best()
    trials = sum(not isinstance(record, Best) for record in log.records)
    try:
        obstacle = header.differences(LogHeader.of(find_target(header.target)))
    except TargetError as error:
        obstacle = error.message
    return Checked(path, header.target, header.tvm, trials, len(best), log.torn, obstacle)


def collect(logs: Iterable[Log], out: Path, *, only_best: bool) -> tuple[Path, ...]:
    """Bring ``logs`` together in the folder ``out``, one log for each target and TVM version; returns their paths.

    Logs that are in ``out`` already are replaced: name the folder among the logs to keep what it holds.

    Args:
        logs: what to bring together.
        out: folder.
        only_best: leave the trials out, and sort.

    Raises:
        TuningError: two logs have the same target and version, but mean different things by them; or there is no log.
        OutputError: a log cannot be written.
    """
    groups: dict[Path, list[Log]] = {}
    for log in logs:
        groups.setdefault(log_path(out, log.header), []).append(log)
    if not groups:
        raise TuningError("there is no tuning log in these places")
    merged = {path: merge(group) for path, group in groups.items()}
    for path, records in merged.items():
        if only_best:
            records = tuple(sorted((r for r in records if isinstance(r, Best)), key=lambda best: str(best.task)))
        write_log(path, groups[path][0].header, records)
    return tuple(merged)
